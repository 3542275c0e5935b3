import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapturedRequest } from '@octoflow/protocol'
import type { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { claimOne, expectProblem, expectStatus, ids, QUEUE, range, read, report, submit, submitMany } from './native.ts'

const capture = async (client: Client, query: string, call: object): Promise<number> =>
  (expectStatus(await client.post(`/request${query}`, call), 200).json as { id: number }).id

test('A captured request is shown as it came, with or without a job.', async (t) => {
  const { client } = await startOctoflow(t)
  const headers = { 'user-agent': 'old-client/1', 'x-hub-signature': 'sha1=abc' }
  const id = await capture(client, '?custom_value=App', { body: '{"a" : 1}', type: 'application/json', headers })
  const { receivedAt, sourceIp, url, ...request } = await read<CapturedRequest>(client, `/requests/${id}`)
  assert.ok(Math.abs(Date.parse(receivedAt) - Date.now()) < 10_000)
  assert.match(sourceIp!, /127\.0\.0\.1/)
  assert.match(url, /\/request\?custom_value=App$/)
  const { headers: kept, ...rest } = request
  assert.equal(kept['x-hub-signature'], 'sha1=abc')
  assert.deepEqual(rest, {
    id,
    source: 'capture',
    userAgent: 'old-client/1',
    method: 'POST',
    contentType: 'application/json',
    body: { a: 1 },
    queue: 'App',
    handled: false,
  })
  assert.ok((await client.get(`/api/v1/requests/${id}`)).text.includes('"body":{"a" : 1}'), 'byte for byte')
  const without = await capture(client, '', { json: 'plain' })
  assert.equal((await read<CapturedRequest>(client, `/requests/${without}`)).queue, null)
  expectProblem(await client.get(`/api/v1/jobs/${without}`), 404, 'job_not_found')
})

test('A submitted job has a request, too, which is handled once the job has completed.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, { payload: [1] })
  const request = await read<CapturedRequest>(client, `/requests/${id}`)
  const { source, method, url, body, queue, handled } = request
  assert.deepEqual(
    { source, method, url, body, queue, handled },
    {
      source: 'api',
      method: 'POST',
      url: '/api/v1/jobs',
      body: [1],
      queue: QUEUE,
      handled: false,
    },
  )
  await report(client, await claimOne(client), { outcome: 'completed' })
  assert.equal((await read<CapturedRequest>(client, `/requests/${id}`)).handled, true)
})

test('Requests are found by queue, source, time and text, and listed page by page in both orders.', async (t) => {
  const { client } = await startOctoflow(t)
  const first = await capture(client, '?custom_value=App', { json: { note: 'Hello' } })
  const second = await capture(client, '', { json: {} })
  const third = await submit(client, { payload: 'hello' })
  const { receivedAt } = await read<CapturedRequest>(client, `/requests/${second}`)
  const time = encodeURIComponent(receivedAt)
  for (const [query, expected] of [
    ['', [third, second, first]],
    ['order=asc&limit=2', [first, second, third]],
    ['queue=App', [first]],
    [`queue=App,${QUEUE}&limit=1`, [third, first]],
    ['source=capture', [second, first]],
    ['source=api', [third]],
    [`createdFrom=${time}`, [third, second]],
    [`createdTo=${time}`, [first]],
    ['text=HELLO', [third, first]],
    ['source=capture&text=hello', [first]],
  ] as const)
    assert.deepEqual(await ids(client, `/requests?${query}`), expected, query)
  for (const query of ['source=kafka', 'createdFrom=x', 'state=pending'])
    expectProblem(await client.get(`/api/v1/requests?${query}`), 400, 'invalid_query')
})

test('Thousands of requests are read page by page, each once.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, new Array(2_500).fill({}))
  assert.deepEqual(await ids(client, '/requests?limit=400&order=asc'), range(1, 2_500))
})

test('A request that has not changed since is 304 to a reader who has it already; an unknown one is 404.', async (t) => {
  const { client } = await startOctoflow(t)
  const path = `/api/v1/requests/${await submit(client)}`
  const headers = { 'if-none-match': (await client.get(path)).headers.get('etag')! }
  expectStatus(await client.get(path, { headers }), 304)
  for (const id of ['2', '0', 'x', '9'.repeat(20)])
    expectProblem(await client.get(`/api/v1/requests/${id}`), 404, 'request_not_found')
})
