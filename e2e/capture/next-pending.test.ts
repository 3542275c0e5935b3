import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import { capture, nativeJob, type PendingJob, report, take, takeNext } from './capturing.ts'

const NONE = { message: 'No pending jobs found.' }

test('next-pending gives the request with the job, its body as a JSON string.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const body = '{"n": 12345678901234567890}'
  await client.post('/request?custom_value=App', { body, type: 'application/json', headers: { 'user-agent': 'probe/1.0' } })
  const answer = await client.get('/jobs/next-pending?custom_value=App')
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.json, {
    job_id: 1,
    request_id: 1,
    source_ip: '127.0.0.1',
    user_agent: 'probe/1.0',
    method: 'POST',
    request_url: `${server.url}/request?custom_value=App`,
    request_raw: body,
    custom_value: 'App',
  })
})

test('Without a pending job, without a custom_value and with an empty one the answer is 404.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request', { json: {} })
  for (const query of ['?custom_value=App', '', '?custom_value=']) {
    const answer = await client.get(`/jobs/next-pending${query}`)
    assert.equal(answer.status, 404)
    assert.deepEqual(answer.json, NONE)
  }
})

test('Jobs are handed out oldest first.', async (t) => {
  const { client } = await startOctoflow(t)
  for (let n = 0; n < 20; n++) await capture(client, n % 3 === 0 ? 'Other' : 'App', { n })
  const ids: number[] = []
  for (let job = await takeNext(client, 'App'); job !== null; job = await takeNext(client, 'App')) ids.push(job.job_id)
  assert.deepEqual(ids, [2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20])
})

test('Oldest first goes within priority.', async (t) => {
  const { client } = await startOctoflow(t)
  const jobs = [{ priority: 9 }, { priority: 0 }, {}, { priority: 0 }, { priority: 4 }].map((job) => ({ queue: 'App', ...job }))
  await client.post('/api/v1/jobs', { json: { jobs } })
  await capture(client, 'App')
  const ids: number[] = []
  for (let job = await takeNext(client, 'App'); job !== null; job = await takeNext(client, 'App')) ids.push(job.job_id)
  assert.deepEqual(ids, [2, 4, 5, 3, 6, 1])
})

test('A job is handed to exactly one of many who ask at once.', async (t) => {
  const { client } = await startOctoflow(t)
  await Promise.all(Array.from({ length: 60 }, (_, n) => capture(client, 'App', { n })))
  const answers = await Promise.all(Array.from({ length: 100 }, () => takeNext(client, 'App')))
  const ids = answers.filter((job) => job !== null).map(({ job_id }) => job_id)
  assert.deepEqual(
    ids.toSorted((a, b) => a - b),
    Array.from({ length: 60 }, (_, n) => n + 1),
  )
})

test('Asking by HEAD takes no job.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  const answer = await client.call('HEAD', '/jobs/next-pending?custom_value=App')
  assert.equal(answer.status, 405)
  assert.equal((await take(client, 'App')).job_id, id)
})

test('One who waits is answered as soon as a job is captured.', async (t) => {
  const { client } = await startOctoflow(t)
  const waiting = takeNext(client, 'App', '&wait=20')
  await until(async () => (await workers(client)).includes('App'), { what: 'the server knows who waits' })
  const begun = performance.now()
  const id = await capture(client, 'App')
  assert.equal((await waiting)?.job_id, id)
  assert.ok(performance.now() - begun < 10_000, 'not when the wait ends')
})

test('One who waits is answered when a job is pending again.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await take(client, 'App')
  const waiting = takeNext(client, 'App', '&wait=20')
  assert.equal(await report(client, id, 'Pending'), 200)
  assert.equal((await waiting)?.job_id, id)
})

test('Of several who wait, each job goes to one, and the others go on waiting.', async (t) => {
  const { client } = await startOctoflow(t)
  const got: PendingJob[] = []
  const waiting = Array.from({ length: 5 }, async () => {
    const job = await takeNext(client, 'App', '&wait=20')
    if (job !== null) got.push(job)
  })
  for (let n = 1; n <= 5; n++) {
    await capture(client, 'App')
    await until(() => got.length === n, { what: `${n} of those who wait have a job` })
  }
  await Promise.all(waiting)
  assert.deepEqual(
    got.map(({ job_id }) => job_id),
    [1, 2, 3, 4, 5],
  )
})

test('A wait without a job ends with 404 when its time is up.', async (t) => {
  const { client } = await startOctoflow(t)
  const begun = performance.now()
  const answer = await client.get('/jobs/next-pending?custom_value=App&wait=1')
  const took = performance.now() - begun
  assert.equal(answer.status, 404)
  assert.deepEqual(answer.json, NONE)
  assert.ok(took >= 990, `it took ${took} ms`)
})

test('wait is a number of seconds, at most 60.', async (t) => {
  const { client } = await startOctoflow(t)
  await Promise.all(Array.from({ length: 3 }, () => capture(client, 'App')))
  for (const wait of ['60', '0', '0.5'])
    assert.equal((await client.get(`/jobs/next-pending?custom_value=App&wait=${wait}`)).status, 200, wait)
  for (const wait of ['61', '-1', 'abc', 'NaN', 'Infinity', '', '1e99', '1&wait=2'])
    assert.equal((await client.get(`/jobs/next-pending?custom_value=App&wait=${wait}`)).status, 400, wait)
})

test('A job that comes when the one who waited has gone away is not lost: the next caller gets it at once.', async (t) => {
  const { client } = await startOctoflow(t)
  for (let round = 0; round < 10; round++) {
    const queue = `App ${round}`
    const control = new AbortController()
    const gone = client.get(`/jobs/next-pending?custom_value=${encodeURIComponent(queue)}&wait=20`, { signal: control.signal })
    await until(async () => (await workers(client)).includes(queue), { what: 'the server knows who waits' })
    control.abort()
    await assert.rejects(gone)
    const id = await capture(client, queue)
    const job = await takeNext(client, queue, '&wait=5')
    assert.equal(job?.job_id, id)
    assert.equal((await nativeJob(client, id)).attempt, 1, 'being handed to nobody is no attempt')
  }
})

/** The queues that somebody has asked for a job. */
async function workers(client: { get(path: string): Promise<{ readonly json: unknown }> }): Promise<readonly string[]> {
  const { items } = (await client.get('/api/v1/workers')).json as { items: readonly { readonly queues: readonly string[] }[] }
  return items.flatMap(({ queues }) => queues)
}
