import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Answer } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { sample } from '../support/odd-bodies.ts'
import { errorMember, fill } from '../support/openapi.ts'
import { snapshot } from './snapshot.ts'

const PARAMETERS = { id: '1', queue: 'App' }

const JSON_TYPE = 'application/json'

/** Fails unless an answer is an error in the form of its API. */
function assertError(answer: Answer, path: string, status: number, code: string, what: string): void {
  assert.equal(answer.status, status, `${what}: ${answer.text}`)
  if (path.startsWith('/api/v1/')) assert.equal((answer.json as { code: string }).code, code, what)
  else assert.deepEqual(Object.keys(answer.json as object), [errorMember(path)], what)
}

/** JSON that is cut off at every place where that leaves no JSON, so many at most. */
function* cutOff(text: string, most: number): Generator<string> {
  const step = Math.max(1, Math.floor(text.length / most))
  for (let length = 1; length < text.length; length += step) yield text.slice(0, length)
}

/** What came of JSON in a wrong encoding, or never was in one. */
const NO_UTF8 = [
  Buffer.from([0x22, 0xff, 0x22]),
  Buffer.from([0x22, 0xc3, 0x22]),
  Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
  Buffer.from([0x22, 0xc0, 0xaf, 0x22]),
  Buffer.from('{"message":"Größe"}', 'latin1'),
  Buffer.from('\ufeff{}', 'utf16le'),
]

const NO_JSON = [
  ' ',
  '\u0000',
  'undefined',
  'NaN',
  '-Infinity',
  '01',
  '.5',
  '0x1',
  "{'a':1}",
  '{a:1}',
  '{"a":1,}',
  '[1,]',
  '[1 2]',
  '{"a" 1}',
  '{"a":1}{}',
  '{"a":"\n"}',
  '"\\x41"',
  '"\\u12"',
  '/* none */{}',
  '{}\u0000',
  'a=1&b=2',
  '<a/>',
  '['.repeat(100_000),
  '{"a":'.repeat(100_000),
]

test('A body that is no JSON is 400 on every route that takes JSON, says where it breaks, and changes nothing.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  const { routesWithBody } = await client.openApi()
  const before = await snapshot(client)
  for (const { method, path, schema } of routesWithBody)
    for (const body of [...NO_JSON, ...cutOff(JSON.stringify({ a: [sample(schema)] }), 20)]) {
      const answer = await client.call(method, fill(path, PARAMETERS), { body, type: JSON_TYPE })
      const what = `${method} ${path} ${JSON.stringify(body).slice(0, 100)}`
      assertError(answer, path, 400, 'invalid_json', what)
      assert.match(answer.text, /line \d+, column \d+|ends too early|has an unexpected/, what)
      assert.ok(answer.text.length < 1_000, 'the body is not repeated')
    }
  assert.deepEqual(await snapshot(client), before)
})

test('What is wrong with a body is told as it is.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [body, words] of [
    ['[NaN]', 'it has an unexpected \\"N\\"'],
    ['[1,]', 'it has an unexpected \\"]\\"'],
    ['{"a":1,}', 'line 1, column 8'],
    ['[1 2]', 'line 1, column 4'],
    ['[1', 'it ends too early'],
    ['{"a":"x', 'it ends too early'],
    [' ', 'it ends too early'],
  ] as const) {
    const { text } = await client.post('/v1/events', { body, type: JSON_TYPE })
    assert.ok(text.includes(words), text)
  }
})

test('A body of JSON that is not UTF-8 is 400 on every route that takes JSON, and changes nothing.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  const { routesWithBody } = await client.openApi()
  const before = await snapshot(client)
  for (const { method, path } of routesWithBody)
    for (const body of NO_UTF8) {
      const answer = await client.call(method, fill(path, PARAMETERS), { body, type: JSON_TYPE })
      assertError(answer, path, 400, 'invalid_json', `${method} ${path} ${body.toString('hex')}`)
      assert.match(answer.text, /UTF-8/)
    }
  assert.deepEqual(await snapshot(client), before)
})

test('A body that a route has no use for does it no harm if it is JSON, and is 400 if it is none.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  const { routes, routesWithBody } = await client.openApi()
  const described = new Set(routesWithBody.map(({ method, path }) => `${method} ${path}`))
  for (const { method, path } of routes) {
    if (method === 'GET' || described.has(`${method} ${path}`)) continue
    const call = { type: JSON_TYPE }
    const broken = await client.call(method, fill(path, PARAMETERS), { ...call, body: '{"a":' })
    assertError(broken, path, 400, 'invalid_json', `${method} ${path}`)
    for (const body of ['[]', '{"unheardOf":1}', '"text"', 'null', `[${'['.repeat(50_000)}${']'.repeat(50_000)}]`]) {
      // To delete log events without saying which is refused whatever the body.
      const query = path === '/v1/events' ? '?type=none' : ''
      const answer = await client.call(method, `${fill(path, PARAMETERS)}${query}`, { ...call, body })
      assert.ok(answer.status < 500 && answer.status !== 400, `${method} ${path} ${body.slice(0, 100)}: ${answer.text}`)
    }
  }
})

test('A compressed body is 415 on every route, and changes nothing.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  const { routesWithBody } = await client.openApi()
  const before = await snapshot(client)
  for (const { method, path, schema } of routesWithBody) {
    const text = JSON.stringify(sample(schema))
    for (const [encoding, body] of [
      ['gzip', gzipSync(text)],
      ['x-gzip', gzipSync(text)],
      ['deflate', deflateSync(text)],
      ['br', brotliCompressSync(text)],
      ['zstd', zstdCompressSync(text)],
      ['gzip, identity', gzipSync(text)],
      ['unheard-of', Buffer.from(text)],
    ] as const) {
      const call = { body, type: JSON_TYPE, headers: { 'content-encoding': encoding } }
      const answer = await client.call(method, fill(path, PARAMETERS), call)
      assertError(answer, path, 415, 'unsupported_media_type', `${method} ${path} ${encoding}`)
      assert.ok(answer.text.includes(encoding), answer.text)
    }
  }
  assert.deepEqual(await snapshot(client), before)
})

test('A content type that a route does not take is 415, and changes nothing.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  const { routesWithBody } = await client.openApi()
  const before = await snapshot(client)
  for (const { method, path, schema } of routesWithBody) {
    if (path === '/request') continue
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'json',
      '*/*',
      '/',
    ]) {
      const answer = await client.call(method, fill(path, PARAMETERS), { body: JSON.stringify(sample(schema)), type })
      assertError(answer, path, 415, 'unsupported_media_type', `${method} ${path} ${type}`)
      assert.ok(answer.text.includes(type), answer.text)
    }
  }
  assert.deepEqual(await snapshot(client), before)
})

test('A body that begins with a byte order mark is read, and so is one whose type is spelt otherwise.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const type of [JSON_TYPE, 'APPLICATION/JSON; charset="utf-8"', 'application/vnd.octoflow+json'])
    assert.equal((await client.post('/api/v1/jobs', { body: '\ufeff{"queue":"App"}', type })).status, 201, type)
})

test('What is nested 200,000 levels deep is kept as it came, in every place that takes any value.', async (t) => {
  const { client } = await startOctoflow(t)
  const deep = '['.repeat(200_000) + ']'.repeat(200_000)
  const send = (method: string, path: string, body: string) => client.call(method, path, { body, type: JSON_TYPE })

  assert.equal((await send('POST', '/api/v1/jobs', `{"queue":"App","payload":${deep}}`)).status, 201)
  assert.equal((await send('POST', '/api/v1/jobs', `{"jobs":[{"queue":"App","payload":${deep}}]}`)).status, 201)
  const claimed = await client.post('/api/v1/queues/App/claim', { json: { workerId: 'w' } })
  assert.ok(claimed.text.includes(`"payload":${deep}`), 'its worker gets it')
  const [{ id, leaseToken }] = (claimed.json as { jobs: [{ id: number; leaseToken: string }] }).jobs

  assert.equal((await send('POST', `/api/v1/jobs/${id}/events`, `{"message":"deep","data":${deep}}`)).status, 201)
  const report = `{"id":${id},"leaseToken":"${leaseToken}","outcome":"completed","result":${deep}}`
  assert.equal((await send('POST', '/api/v1/jobs/report', `{"workerId":"w","jobs":[${report}]}`)).status, 200)
  const job = await client.get(`/api/v1/jobs/${id}`)
  for (const member of ['payload', 'result']) assert.ok(job.text.includes(`"${member}":${deep}`), member)
  assert.ok((await client.get(`/api/v1/jobs/${id}/events`)).text.includes(`"data":${deep}`))
  assert.equal((await send('POST', `/api/v1/jobs/${id}/retry`, `{"payload":{"again":${deep}}}`)).status, 200)
  assert.ok((await client.get(`/api/v1/jobs/${id}`)).text.includes(`"payload":{"again":${deep}}`))

  for (const place of [`{"queue":${deep}}`, `{"queue":"App","labels":${deep}}`, deep])
    assert.equal((await send('POST', '/api/v1/jobs', place)).status, 400)
})
