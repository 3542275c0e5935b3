import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { exchange, requestHead } from '../support/raw-connection.ts'
import { capture, take, takeNext } from './capturing.ts'

test('The greeting needs no credential, and keeps its form with the version of Octoflow.', async (t) => {
  const { client } = await startOctoflow(t)
  const answer = await client.get('/', { key: null })
  const { version } = ((await client.get('/api/v1/me')).json as { server: { version: string } }).server
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
  assert.equal(answer.text, `Hello Drumpler ${version}!`)
})

test('A request with a custom_value makes a job with the request’s id.', async (t) => {
  const { client } = await startOctoflow(t)
  const answer = await client.post('/request?custom_value=App', { json: { a: 1 } })
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.json, { message: 'Request processed successfully', id: 1, job_id: 1 })
})

test('A request without a custom_value makes no job, and job_id is absent.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const answer = await client.post('/request', { json: { a: 1 } })
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.json, { message: 'Request processed successfully', id: 1 })
  assert.deepEqual(database().prepare('SELECT id FROM jobs').all(), [])
})

test('One counter numbers requests and jobs, so that a job’s id is its request’s whatever was captured in between.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request', { json: {} })
  const first = await capture(client, 'App')
  await client.post('/request', { json: {} })
  const second = await capture(client, 'App')
  assert.deepEqual([first, second], [2, 4])
  for (const id of [first, second]) {
    const { job_id, request_id } = await take(client, 'App')
    assert.deepEqual([job_id, request_id], [id, id])
  }
})

test('The same counter numbers jobs of another source, each of which hangs on a request, too.', async (t) => {
  const { client } = await startOctoflow(t)
  const first = await capture(client, 'App')
  await client.post('/api/v1/jobs', { json: { queue: 'App', payload: { n: 1 } } })
  const last = await capture(client, 'App')
  assert.deepEqual([first, last], [1, 3])
  for (const id of [1, 2, 3]) {
    const { job_id, request_id, request_raw } = await take(client, 'App')
    assert.deepEqual([job_id, request_id, request_raw], [id, id, id === 2 ? '{"n":1}' : '{}'])
    assert.equal(((await client.get(`/request/${id}`)).json as { custom_value: unknown }).custom_value, 'App')
  }
})

test('A request without a user agent is recorded without one, and one with a long user agent and URL with all of both.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const head = requestHead('POST', '/request?custom_value=App', { 'content-length': '0' })
  assert.equal((await exchange(t, server.url, head))?.status, 200)
  const shown = (await client.get('/request/1')).json as { readonly user_agent: unknown }
  assert.equal(shown.user_agent, null)
  assert.equal((await take(client, 'App')).user_agent, null)

  const path = `/request?custom_value=App&more=${'x'.repeat(4_000)}`
  await client.post(path, { json: {}, headers: { 'user-agent': 'probe/1.0 '.repeat(200).trim() } })
  const { request_url, user_agent } = await take(client, 'App')
  assert.equal(request_url, `${server.url}${path}`)
  assert.equal(user_agent, 'probe/1.0 '.repeat(200).trim())
})

test('A recorded request tells who sent it, how, where and when.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const before = Date.now()
  await client.post('/request?custom_value=App&more=1', { json: { a: [1, 'two'] }, headers: { 'user-agent': 'probe/1.0' } })
  const { timestamp, ...rest } = (await client.get('/request/1')).json as { readonly timestamp: string }
  assert.deepEqual(rest, {
    id: 1,
    source_ip: '127.0.0.1',
    user_agent: 'probe/1.0',
    method: 'POST',
    request_url: `${server.url}/request?custom_value=App&more=1`,
    request_raw: { a: [1, 'two'] },
    custom_value: 'App',
    is_handled: 0,
  })
  assert.match(timestamp, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3,6}Z$/, 'ISO 8601 in UTC')
  const at = Date.parse(timestamp)
  assert.ok(at >= before - 1 && at <= Date.now() + 1, `${timestamp} is not when the request came`)
})

test('Of a request without a custom_value, custom_value is null.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request')
  assert.equal(((await client.get('/request/1')).json as { custom_value: unknown }).custom_value, null)
})

test('Headers worth keeping are kept, credentials and cookies never.', async (t) => {
  const { client } = await startOctoflow(t)
  const worthKeeping = {
    'idempotency-key': 'order-7',
    'x-hub-signature-256': 'sha256=abc',
    'stripe-signature': 't=1,v1=def',
  }
  const others = { cookie: 'session=1', 'x-forwarded-for': '203.0.113.9', 'x-custom': '1' }
  await client.post('/request', {
    body: 'a=1',
    type: 'application/x-www-form-urlencoded',
    headers: { ...worthKeeping, ...others },
  })
  const request = (await client.get('/api/v1/requests/1')).json as { headers: object; contentType: string; sourceIp: string }
  assert.deepEqual(request.headers, worthKeeping)
  assert.equal(request.contentType, 'application/x-www-form-urlencoded')
  assert.equal(request.sourceIp, '127.0.0.1')
})

test('Forwarded-for is kept and believed where the proxy is trusted.', async (t) => {
  const { client } = await startOctoflow(t, { env: { TRUST_PROXY: '1' } })
  await client.post('/request', { headers: { 'x-forwarded-for': '203.0.113.9' } })
  const request = (await client.get('/api/v1/requests/1')).json as { headers: object; sourceIp: string }
  assert.deepEqual(request.headers, { 'x-forwarded-for': '203.0.113.9' })
  assert.equal(request.sourceIp, '203.0.113.9')
})

test('What was answered with 200 is there with its job after the server was killed on the spot.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const answered: number[] = []
  const enough = Promise.withResolvers<void>()
  const submitters = Array.from({ length: 8 }, async () => {
    while (true) {
      answered.push(await capture(client, 'App', { n: answered.length }))
      if (answered.length >= 200) enough.resolve()
    }
  })
  await Promise.race([enough.promise, Promise.all(submitters)])
  await server.kill()
  await Promise.allSettled(submitters)

  const { client: again } = await startOctoflow(t, { data: server.data })
  const found = new Set<number>()
  for (let job = await takeNext(again, 'App'); job !== null; job = await takeNext(again, 'App')) found.add(job.job_id)
  assert.deepEqual(
    answered.filter((id) => !found.has(id)),
    [],
  )
})
