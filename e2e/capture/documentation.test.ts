import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import type { Content } from '../support/openapi.ts'

const ROUTES = [
  ['GET', '/'],
  ['POST', '/request'],
  ['GET', '/request/{id}'],
  ['PUT', '/request/{id}'],
  ['DELETE', '/request/{id}'],
  ['GET', '/jobs/next-pending'],
  ['PUT', '/jobs/{id}'],
  ['PUT', '/jobs/{id}/update-status'],
  ['PUT', '/jobs/{id}/mark-handled'],
  ['POST', '/events'],
  ['POST', '/jobs/{id}/insert-event'],
] as const

const hasExample = (content: Content): boolean => JSON.stringify(content).includes('"example')

test('The OpenAPI 3.1 document is served without a credential and covers every route of the capture API.', async (t) => {
  const { client } = await startOctoflow(t)
  const answer = await client.get('/openapi.json', { key: null })
  assert.equal(answer.status, 200)
  assert.match((answer.json as { openapi: string }).openapi, /^3\.1\./)
  const { routes } = await client.openApi()
  const capture = routes.filter(({ operation }) => operation.tags?.includes('capture'))
  assert.deepEqual(
    capture.map(({ method, path }) => `${method} ${path}`).sort(),
    ROUTES.map(([method, path]) => `${method} ${path}`).sort(),
  )
})

test('Every route of the capture API is documented with schemas, examples and error answers.', async (t) => {
  const { client } = await startOctoflow(t)
  const openApi = await client.openApi()
  for (const [method, path] of ROUTES) {
    const operation = openApi.find(method, path)!
    const what = `${method} ${path}`
    assert.ok((operation.summary ?? '') !== '', `${what} has a summary`)
    const success = operation.responses['200']?.content ?? {}
    assert.ok(Object.keys(success).length > 0 && hasExample(success), `${what} shows an answer with an example`)
    if (path === '/') continue
    for (const errors of ['4XX', '5XX'])
      assert.ok(hasExample(operation.responses[errors]?.content ?? {}), `${what} shows a ${errors} answer with an example`)
    if (method === 'POST' || (method === 'PUT' && !path.endsWith('mark-handled')))
      assert.ok(hasExample(operation.requestBody?.content ?? {}), `${what} shows a body with an example`)
  }
})

test('The documentation page is served without a credential, at its old address too.', async (t) => {
  const { client, server } = await startOctoflow(t)
  for (const path of ['/docs', '/docs/', '/api/docs', '/api/docs/']) {
    const response = await fetch(`${server.url}${path}`)
    assert.equal(response.status, 200, path)
    assert.match(await response.text(), /swagger/i)
  }
  assert.equal((await client.get('/api/docs/', { key: null })).status, 302)
})
