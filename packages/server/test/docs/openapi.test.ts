import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openApiDocument } from '../../src/cli/openapi.ts'

interface Document {
  readonly servers: readonly { readonly url: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId?: string }>>>>
}

const { servers, paths } = (await openApiDocument(process.cwd())) as Document

test('Every operation has an id that a generated client can name its function after, and no other has it.', () => {
  const taken = new Map<string, string>()
  for (const [path, operations] of Object.entries(paths))
    for (const [method, { operationId = '' }] of Object.entries(operations)) {
      const what = `${method.toUpperCase()} ${path}`
      assert.match(operationId, /^[a-z][A-Za-z]+$/, what)
      assert.equal(taken.get(operationId), undefined, `${what} has the id of another`)
      taken.set(operationId, what)
    }
  assert.equal(taken.get('submitJob'), 'POST /api/v1/jobs')
  assert.equal(taken.get('listJobs'), 'GET /api/v1/jobs')
})

test('The document names the server that it came from.', () => {
  assert.deepEqual(
    servers.map(({ url }) => url),
    ['/'],
  )
})
