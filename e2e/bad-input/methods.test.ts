import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { errorMember, fill } from '../support/openapi.ts'
import { exchange, requestHead } from '../support/raw-connection.ts'

const PARAMETERS = { id: '1', queue: 'App' }

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LOCK', 'PURGE', 'QUERY']

/** These take something, or last, so that nobody may ask for them by HEAD. */
const WITHOUT_HEAD = ['/jobs/next-pending', '/api/v1/stream']

/** The paths of the document, filled in, with the methods that are served there. */
async function served(client: Client): Promise<ReadonlyMap<string, readonly string[]>> {
  const openApi = await client.openApi()
  const paths = Object.keys(openApi.document.paths)
  return new Map(
    paths.map((path) => {
      const filled = fill(path, PARAMETERS)
      // A path such as /jobs/next-pending is one of /jobs/{id}, too.
      const methods = paths
        .filter((other) => new RegExp(`^${other.replace(/\{\w+\}/g, '[^/]+')}$`).test(filled))
        .flatMap((other) => [
          ...Object.keys(openApi.document.paths[other]!).map((method) => method.toUpperCase()),
          ...('get' in openApi.document.paths[other]! && !WITHOUT_HEAD.includes(other) ? ['HEAD'] : []),
        ])
      return [filled, [...new Set(methods)].sort()]
    }),
  )
}

test('A method that a path does not have is 405, and Allow names those that it has.', async (t) => {
  const { client, server } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  const all = await served(client)
  assert.ok(all.size > 35)
  for (const [path, methods] of all)
    for (const method of METHODS) {
      if (methods.includes(method)) continue
      const what = `${method} ${path}`
      if (method === 'HEAD') {
        const { status, headers } = await client.call(method, path)
        assert.deepEqual([status, headers.get('allow')], [405, methods.join(', ')], what)
        continue
      }
      const answer = await exchange(t, server.url, requestHead(method, path))
      assert.equal(answer?.status, 405, `${what}: ${answer?.text}`)
      assert.equal(answer.headers.get('allow'), methods.join(', '), what)
      const said = JSON.parse(answer.text) as { readonly code?: string; readonly message?: string }
      if (path.startsWith('/api/v1/')) assert.equal(said.code, 'method_not_allowed', what)
      else assert.deepEqual(Object.keys(said), [errorMember(path)], what)
    }
})

test('A wrong method is 405 whatever comes with it: no credential, a body, one that does not parse.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const path of ['/events', '/request', '/api/v1/me', '/api/v1/keys', '/api/v1/jobs/report'])
    for (const call of [
      { key: null },
      { key: 'wrong-key' },
      { json: { a: 1 } },
      { body: '{"a":', type: 'application/json' },
      { body: 'x', type: 'image/png' },
    ])
      assert.equal((await client.put(path, call)).status, 405, `${path} ${JSON.stringify(call)}`)
})

test('What asks for another method by a header or a parameter does not get it.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  for (const header of ['x-http-method-override', 'x-http-method', 'x-method-override'])
    assert.equal((await client.post('/request/1?_method=DELETE', { headers: { [header]: 'DELETE' } })).status, 405)
  assert.equal((await client.get('/request/1?_method=DELETE', { headers: { 'x-http-method-override': 'DELETE' } })).status, 200)
  assert.equal((await client.get('/request/1')).status, 200)
})

test('A path that nothing is served at is 404, in the form of the API that it would belong to, whatever comes with it.', async (t) => {
  const { server } = await startOctoflow(t)
  // Where files are served, whatever their name, another method than GET is 405.
  for (const path of [
    '/api/v1/nothing',
    '/api/v1/',
    '/api/v1/Jobs',
    '/api/v1/jobs/1/nothing',
    '/api/v1/jobs/1/events/1',
    '/api/v1//jobs',
    '/api/v1/../../etc/passwd',
    '/api/v2/jobs',
    '/v1/events/1/2',
    '/v1/event',
    '/v1',
    '/API/v1/jobs',
    '/api',
    '/.env',
    '/octoflow.db',
    '/../../etc/passwd',
    '/docs/../../package.json',
    '/docs/static/..%2f..%2fpackage.json',
    '/docs/static/%2e%2e/%2e%2e/package.json',
    '/docs/static/%00',
    '/docs/static/nothing.js',
    '/jobs/1/update-status/',
    '/events/',
    '*',
  ])
    for (const body of path.startsWith('/docs/static/') ? [''] : ['', '{}', '{"a":']) {
      const head = requestHead(body === '' ? 'GET' : 'POST', path, {
        ...(body !== '' && { 'content-type': 'application/json', 'content-length': String(body.length) }),
      })
      const answer = await exchange(t, server.url, head + body)
      assert.equal(answer?.status, 404, `${path} ${body}: ${answer?.text}`)
      const said = JSON.parse(answer.text) as object
      if (path.startsWith('/api/v1/')) assert.equal((said as { code: string }).code, 'not_found', path)
      else assert.deepEqual(Object.keys(said), [errorMember(path)], path)
    }
})
