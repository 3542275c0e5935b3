import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { sample } from '../support/odd-bodies.ts'
import { errorMember, fill } from '../support/openapi.ts'
import { exchange, requestHead } from '../support/raw-connection.ts'
import { snapshot } from './snapshot.ts'

/** None of them names anything. What a client would mend on the way, such as `..`, is sent as it stands here. */
const ABSURD = [
  '0',
  '00',
  '-0',
  '-1',
  '+1',
  '1.0',
  '1.5',
  '1e0',
  '1e99',
  '0x1',
  '0b1',
  '1n',
  '1_0',
  '1,2',
  '1;2',
  'NaN',
  'Infinity',
  'null',
  'undefined',
  'true',
  'text',
  '__proto__',
  'constructor',
  'toString',
  '999',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '9223372036854775807',
  '9223372036854775808',
  '18446744073709551617',
  '9'.repeat(2_000),
  '9'.repeat(10_000),
  '0'.repeat(2_000),
  '%20',
  '%201',
  '1%20',
  '1%09',
  '1%0a',
  '1%0d%0aX:%201',
  '%00',
  '1%00',
  '%001',
  '1%2f',
  '%2f',
  '%2f..%2f1',
  '1%2f2',
  '%2e%2e',
  '1%5c',
  '1%3f',
  '1%23',
  '1%25',
  '%2531',
  "1'",
  "1'%20OR%20'1'='1",
  '1;DROP%20TABLE%20requests',
  '%c2%b9',
  '%d9%a1',
  '%ef%bc%91',
  '%f0%9f%90%99',
  '*',
  '{id}',
  '[1]',
  '~',
]

test('An id that names nothing, however absurd, is 404 on every route with an id, and changes nothing.', async (t) => {
  const { client, server } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  const { routes, routesWithBody } = await client.openApi()
  const before = await snapshot(client)
  const withId = routes.filter(({ path }) => path.includes('{id}'))
  assert.ok(withId.length >= 20)
  for (const { method, path } of withId) {
    const schema = routesWithBody.find((route) => route.path === path && route.method === method)?.schema
    const body = schema === undefined ? '' : JSON.stringify(sample(schema))
    const headers = { 'content-length': String(body.length), ...(body !== '' && { 'content-type': 'application/json' }) }
    for (const id of ABSURD) {
      const answer = await exchange(t, server.url, requestHead(method, fill(path, { id }), headers) + body)
      const what = `${method} ${path} ${id.slice(0, 100)}: ${answer?.text}`
      assert.equal(answer?.status, 404, what)
      const said = JSON.parse(answer.text) as { readonly code?: string }
      if (path.startsWith('/api/v1/')) assert.match(said.code ?? '', /not_found$/, what)
      else assert.deepEqual(Object.keys(said), [errorMember(path)], what)
      assert.ok(answer.text.length < 5_000, `${answer.text.length} characters are said of ${id.slice(0, 100)}`)
    }
  }
  assert.deepEqual(await snapshot(client), before)
})

test('A queue may have any name, and one that is absurd does no harm.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const name of [
    '0',
    '-1',
    'NaN',
    '__proto__',
    'constructor',
    '.',
    '..',
    '%',
    '/',
    '\u0000',
    ' ',
    "'",
    '*',
    ',',
    '🐙'.repeat(256),
  ]) {
    const path = `/api/v1/queues/${encodeURIComponent(name).replace(/^\.+$/, (dots) => dots.replaceAll('.', '%2e'))}`
    // A URL with a segment of dots alone is mended by every client before it is sent.
    if (/^\.+$/.test(name)) continue
    assert.equal((await client.get(path)).status, 404, name)
    assert.equal((await client.post('/api/v1/jobs', { json: { queue: name, payload: { name } } })).status, 201, name)
    const claimed = await client.post(`${path}/claim`, { json: { workerId: name } })
    const { jobs } = claimed.json as { jobs: readonly { readonly payload: unknown }[] }
    assert.deepEqual(jobs[0]?.payload, { name })
    assert.equal((await client.patch(path, { json: { paused: true } })).status, 200, name)
    const { counts } = (await client.get(path)).json as { counts: { readonly running: number } }
    assert.equal(counts.running, 1, name)
  }
  await snapshot(client)
  assert.equal((await client.get('/api/v1/stats')).status, 200)
  assert.equal((await client.get('/api/v1/attention')).status, 200)
})

test('A name of a queue that is longer than 256 characters is nobody’s.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const name of ['x'.repeat(257), 'x'.repeat(10_000), encodeURIComponent('🐙'.repeat(257))]) {
    assert.equal((await client.get(`/api/v1/queues/${name}`)).status, 404)
    assert.equal((await client.patch(`/api/v1/queues/${name}`, { json: { paused: true } })).status, 404)
    const claimed = await client.post(`/api/v1/queues/${name}/claim`, { json: { workerId: 'w' } })
    if (claimed.status !== 404) assert.deepEqual(claimed.json, { jobs: [], drain: false })
  }
  assert.deepEqual((await client.get('/api/v1/queues')).json, { items: [], next: null })
})
