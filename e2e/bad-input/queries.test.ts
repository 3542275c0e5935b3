import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { exchange, requestHead } from '../support/raw-connection.ts'

const many = (count: number, name: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => `${name(n)}=1`).join('&')

test('Ten thousand parameters are refused.', async (t) => {
  const { server } = await startOctoflow(t)
  for (const path of ['/api/v1/jobs', '/api/v1/requests', '/request/1', '/jobs/next-pending']) {
    const answer = await exchange(t, server.url, requestHead('GET', `${path}?${many(10_000, (n) => `p${n}`)}`))
    assert.equal(answer?.status, 431)
  }
})

test('As many unknown parameters as fit into a URL are refused, with some of them named.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const path of ['/api/v1/jobs', '/api/v1/requests', '/api/v1/stats', '/api/v1/dead-letters']) {
    const answer = await client.get(`${path}?${many(2_500, (n) => n.toString(36))}`)
    assert.equal(answer.status, 400)
    const { code, errors } = answer.json as { code: string; errors: readonly { path: string }[] }
    assert.equal(code, 'invalid_query')
    assert.ok(errors.length > 0 && errors.length <= 1_000)
  }
})

test('A parameter that a route does not know is 400 and named, whatever the route takes.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/api/v1/jobs', { json: { queue: 'emails' } })
  const calls = [
    ['GET', '/jobs'],
    ['GET', '/jobs/1'],
    ['GET', '/jobs/1/waiting'],
    ['HEAD', '/jobs/1'],
    ['GET', '/queues/emails'],
    ['GET', '/stream'],
    ['GET', '/me'],
    ['POST', '/jobs'],
    ['POST', '/jobs/1/cancel'],
    ['DELETE', '/jobs/1'],
  ] as const
  for (const [method, path] of calls) {
    const answer = await client.call(
      method,
      `/api/v1${path}?colour=1`,
      method === 'POST' && path === '/jobs' ? { json: { queue: 'emails' } } : {},
    )
    assert.equal(answer.status, 400, `${method} ${path}`)
    if (method === 'HEAD') continue
    const { code, detail } = answer.json as { code: string; detail: string }
    assert.equal(code, 'invalid_query', `${method} ${path}`)
    assert.match(detail, /colour is not known here/)
  }
  const { items } = (await client.get('/api/v1/jobs')).json as { items: readonly { state: string }[] }
  assert.deepEqual(
    items.map(({ state }) => state),
    ['pending'],
    'nothing was done',
  )
})

test('A parameter that came several times where one is wanted is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const path of [
    '/api/v1/jobs?limit=1&limit=2',
    '/api/v1/jobs?cursor=a&cursor=b',
    '/api/v1/jobs?label=a&label=b',
    '/api/v1/jobs?order=asc&order=desc',
    '/api/v1/stats?window=60&window=60',
    '/api/v1/requests?text=a&text=b',
    '/jobs/next-pending?custom_value=a&custom_value=b',
  ])
    assert.equal((await client.get(path)).status, 400, path)
  assert.equal((await client.post('/request?custom_value=a&custom_value=b', { json: {} })).status, 400)
})

test('Brackets make no structure of a parameter.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const name of ['limit[]', 'limit[a]', `limit${'[a]'.repeat(1_000)}`, '[limit]', 'limit[__proto__]'])
    assert.equal((await client.get(`/api/v1/jobs?${encodeURI(name)}=1`)).status, 400, name.slice(0, 20))
  assert.equal((await client.get('/jobs/next-pending?custom_value[a]=App')).status, 404)
})

test('Names that every object knows are names like any other.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__proto__.limit', 'valueOf']) {
    assert.equal((await client.get(`/api/v1/jobs?${name}=1`)).status, 400, name)
    assert.equal((await client.post(`/request?${name}=1`, { json: {} })).status, 200, name)
  }
})

test('Percent-encoding that is none is no reason to fail.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const value of ['%', '%z', '%zz', '%f', '%ff', '%c3%28', '%ed%a0%80', '%00', '%u0041', '%%%']) {
    const captured = await client.post(`/request?custom_value=${value}`, { json: {} })
    assert.ok([200, 400].includes(captured.status), `${value}: ${captured.status}`)
    const listed = await client.get(`/api/v1/jobs?queue=${value}&text=${value}&label=${value}`)
    assert.ok([200, 400].includes(listed.status), `${value}: ${listed.status}`)
  }
})

test('In a path, percent-encoding that is none is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const path of [
    '/request/%',
    '/request/%zz',
    '/jobs/%ff/mark-handled',
    '/api/v1/jobs/%zz',
    '/api/v1/queues/%c3%28',
    '/%',
    '/api/v1/%zz',
  ]) {
    const answer = await client.call(path.includes('mark') ? 'PUT' : 'GET', path)
    assert.equal(answer.status, 400, path)
    const problem = path.startsWith('/api/v1/')
    assert.deepEqual(Object.keys(answer.json as object).includes('code'), problem, path)
  }
})

test('Values that do not fit are 400 with the parameter’s name.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [path, name] of [
    ['/api/v1/jobs?state=unheard-of', 'state'],
    ['/api/v1/jobs?createdFrom=yesterday', 'createdFrom'],
    ['/api/v1/jobs?createdTo=2024-99-99', 'createdTo'],
    ['/api/v1/jobs?requestId=0', 'requestId'],
    ['/api/v1/jobs?requestId=1e99', 'requestId'],
    ['/api/v1/jobs?text=', 'text'],
    [`/api/v1/jobs?text=${'x'.repeat(257)}`, 'text'],
    ['/api/v1/jobs?order=up', 'order'],
    ['/api/v1/jobs?limt=5', 'limt'],
    ['/api/v1/requests?source=telegraph', 'source'],
    ['/api/v1/requests?createdFrom=-1', 'createdFrom'],
    ['/api/v1/stats?window=1', 'window'],
    ['/api/v1/stats?step=61', 'step'],
    ['/api/v1/stats?window=1e99', 'window'],
    ['/api/v1/dead-letters?state=dead', 'state'],
  ] as const) {
    const answer = await client.get(path)
    assert.equal(answer.status, 400, path)
    const { code, errors } = answer.json as { code: string; errors?: readonly { path: string }[] }
    assert.equal(code, 'invalid_query', path)
    assert.deepEqual(
      errors?.map((error) => error.path),
      [name],
      path,
    )
  }
})
