import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Queue, Worker } from '@octoflow/protocol'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import {
  bodyOf,
  claim,
  claimOne,
  claimWith,
  commandFor,
  configure,
  expectProblem,
  expectStatus,
  finish,
  heartbeat,
  type Listed,
  QUEUE,
  range,
  read,
  report,
  start,
  submit,
  submitMany,
} from './native.ts'

test('A queue comes to be with its first job, and counts its jobs by state.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.deepEqual(await read(client, '/queues'), { items: [], next: null })
  await finish(client, 'completed')
  await finish(client, 'dead')
  await finish(client, 'cancelled')
  await start(client, { concurrencyKey: 'k' })
  await submitMany(client, [{ concurrencyKey: 'k' }, { delaySeconds: 600 }, {}, {}])
  await submit(client, { queue: 'other' })
  const { items } = await read<Listed<Queue>>(client, '/queues')
  const [queue, other] = items
  assert.deepEqual([queue!.name, other!.name, items.length], [QUEUE, 'other', 2])
  const { createdAt, ...rest } = queue!
  assert.ok(Date.parse(createdAt) <= Date.now())
  assert.deepEqual(rest, {
    name: QUEUE,
    paused: false,
    concurrency: null,
    keyConcurrency: 1,
    rateLimit: null,
    keyRateLimit: null,
    maxAttempts: null,
    backoff: null,
    retentionDays: null,
    handler: null,
    counts: { pending: 4, ready: 2, scheduled: 1, held: 1, running: 1, completed: 1, cancelled: 1, dead: 1 },
    workers: 1,
  })
  assert.equal(other!.workers, 0)
  assert.deepEqual(await read(client, `/queues/${QUEUE}`), queue)
  expectProblem(await client.get('/api/v1/queues/unknown'), 404, 'queue_not_found')
})

test('PATCH sets what it names and leaves the rest; null takes a limit away; the queue is made if it is new.', async (t) => {
  const { client } = await startOctoflow(t)
  const settings = {
    paused: true,
    concurrency: 5,
    keyConcurrency: 2,
    rateLimit: { limit: 10, periodSeconds: 0.5 },
    keyRateLimit: { limit: 1, periodSeconds: 60 },
    maxAttempts: 9,
    backoff: { baseSeconds: 1, factor: 2, maxSeconds: 60, jitter: 0.5 },
    retentionDays: 0.5,
  }
  for (const [name, value] of Object.entries(settings)) await configure(client, { [name]: value })
  const queue = await read<Queue>(client, `/queues/${QUEUE}`)
  for (const [name, value] of Object.entries(settings)) assert.deepEqual(queue[name as keyof Queue], value, name)
  const cleared = await configure(client, { concurrency: null, rateLimit: null, keyRateLimit: null, backoff: null })
  const { concurrency, rateLimit, keyRateLimit, backoff, maxAttempts } = cleared
  assert.deepEqual([concurrency, rateLimit, keyRateLimit, backoff, maxAttempts], [null, null, null, null, 9])
  for (const json of [
    {},
    null,
    { paused: 'yes' },
    { concurrency: 0 },
    { keyConcurrency: null },
    { rateLimit: { limit: 1 } },
    { rateLimit: { limit: 1, periodSeconds: 0 } },
    { maxAttempts: 1_001 },
    { pausd: true },
    { name: 'x' },
  ])
    expectProblem(await client.patch(`/api/v1/queues/${QUEUE}`, { json }), 400, 'invalid_body')
})

test('With If-Match a queue is changed only if its settings are still those of the ETag.', async (t) => {
  const { client } = await startOctoflow(t)
  await configure(client, { concurrency: 1 })
  const path = `/api/v1/queues/${QUEUE}`
  const etag = (await client.get(path)).headers.get('etag')!
  await submit(client)
  const change = (match: string, concurrency: number) =>
    client.patch(path, { json: { concurrency }, headers: { 'if-match': match } })
  const first = await change(etag, 2)
  expectStatus(first, 200)
  expectProblem(await change(etag, 3), 412, 'precondition_failed')
  expectProblem(await change('"nonsense"', 3), 412, 'precondition_failed')
  assert.equal((await read<Queue>(client, `/queues/${QUEUE}`)).concurrency, 2)
  expectStatus(await change(first.headers.get('etag')!, 4), 200)
  expectStatus(await change('*', 5), 200)
})

test('Of many changes at once under one ETag, one is made.', async (t) => {
  const { client } = await startOctoflow(t)
  await configure(client, { concurrency: 1 })
  const path = `/api/v1/queues/${QUEUE}`
  const headers = { 'if-match': (await client.get(path)).headers.get('etag')! }
  const answers = await Promise.all(range(2, 21).map((concurrency) => client.patch(path, { json: { concurrency }, headers })))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.equal(answers.filter(({ status }) => status === 412).length, 19)
})

test('A queue that has not changed since is 304 to a reader who has it already.', async (t) => {
  const { client } = await startOctoflow(t)
  await submit(client)
  const path = `/api/v1/queues/${QUEUE}`
  const headers = { 'if-none-match': (await client.get(path)).headers.get('etag')! }
  expectStatus(await client.get(path, { headers }), 304)
  await submit(client)
  expectStatus(await client.get(path, { headers }), 200)
})

test('A paused queue gives no jobs; once resumed, those who wait get them.', async (t) => {
  const { client } = await startOctoflow(t)
  const running = await start(client)
  await configure(client, { paused: true })
  const id = await submit(client)
  assert.deepEqual(await claim(client), [])
  assert.equal(await commandFor(client, running), 'continue', 'what runs goes on')
  await report(client, running, { outcome: 'completed' })
  const waiting = claimOne(client, { waitSeconds: 30 })
  await configure(client, { paused: false })
  assert.equal((await waiting).id, id)
})

test('However many claim at once, no more jobs run than the queue’s concurrency allows.', async (t) => {
  const { client } = await startOctoflow(t)
  await configure(client, { concurrency: 7 })
  await submitMany(client, new Array(60).fill({}))
  let done = 0
  while (done < 60) {
    const taken = (await Promise.all(range(1, 12).map((n) => claim(client, { workerId: `w${n}`, limit: 3 })))).flat()
    assert.ok(taken.length <= 7, `${taken.length} at once`)
    assert.equal((await read<Queue>(client, `/queues/${QUEUE}`)).counts.running, Math.min(7, 60 - done))
    await Promise.all(taken.map((held) => report(client, held, { outcome: 'completed' })))
    done += taken.length
  }
  assert.equal((await read<Queue>(client, `/queues/${QUEUE}`)).counts.completed, 60)
})

test('keyConcurrency says how many jobs of one concurrency key run at once.', async (t) => {
  const { client } = await startOctoflow(t)
  await configure(client, { keyConcurrency: 3 })
  await submitMany(client, [...new Array(10).fill({ concurrencyKey: 'a' }), { concurrencyKey: 'b' }])
  const taken = (await Promise.all(range(1, 8).map((n) => claim(client, { workerId: `w${n}`, limit: 2 })))).flat()
  assert.deepEqual(taken.map(({ concurrencyKey }) => concurrencyKey).toSorted(), ['a', 'a', 'a', 'b'])
})

describe('A rate limit', { concurrency: 2 }, () => {
  for (const [setting, key] of [
    ['rateLimit', undefined],
    ['keyRateLimit', 'k'],
  ] as const)
    test(`(${setting}) holds in every window, bursts included, and is used up fully.`, async (t) => {
      const { client } = await startOctoflow(t)
      const limit = 10
      const periodSeconds = 1
      await configure(client, { keyConcurrency: 100, [setting]: { limit, periodSeconds } })
      await submitMany(client, new Array(40).fill(key === undefined ? {} : { concurrencyKey: key }))
      const begun = performance.now()
      const worker = async (workerId: string): Promise<void> => {
        while ((await claim(client, { workerId, limit: 4, waitSeconds: 3 })).length > 0);
      }
      await Promise.all(range(1, 4).map((n) => worker(`w${n}`)))
      assert.ok(performance.now() - begun < 20_000)
      const { items } = await read<Listed<{ startedAt: string }>>(client, '/jobs?limit=100')
      const starts = items.map(({ startedAt }) => Date.parse(startedAt)).sort((a, b) => a - b)
      assert.equal(starts.length, 40)
      assert.ok(!starts.includes(Number.NaN), 'all have started')
      for (const [index, at] of starts.entries()) {
        const end = starts[index + limit]
        if (end !== undefined) assert.ok(end - at >= periodSeconds * 1_000, `${limit + 1} starts within ${end - at} ms`)
      }
      const took = starts.at(-1)! - starts[0]!
      assert.ok(took < 3 * periodSeconds * 1_000 * 1.6, `it took ${took} ms to start 40 jobs at 10 per second`)
    })
})

test('A key with a queue scope sees its queues alone, and may configure none but them.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'operator', queues: ['mine'] })
  await submit(client, { queue: 'mine' })
  await submit(client, { queue: 'theirs' })
  const { items } = await read<Listed<Queue>>(client, '/queues', { key })
  assert.deepEqual(
    items.map(({ name }) => name),
    ['mine'],
  )
  expectProblem(await client.get('/api/v1/queues/theirs', { key }), 404, 'queue_not_found')
  const change = { key, json: { paused: true } }
  expectProblem(await client.patch('/api/v1/queues/theirs', change), 403, 'queue_out_of_scope')
  expectStatus(await client.patch('/api/v1/queues/mine', change), 200)
})

test('Workers are listed with their queues as long as they are heard of.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/api/v1/queues/a/claim', { json: { workerId: 'w1' }, headers: { 'user-agent': 'my-worker/2' } })
  await claim(client, { workerId: 'w1', queue: 'b' })
  await heartbeat(client, [], { workerId: 'w2' })
  const { items } = await read<Listed<Worker>>(client, '/workers')
  const [first, second] = items
  const { firstSeenAt, lastSeenAt, ...rest } = first!
  assert.deepEqual(rest, { id: 'w1', queues: ['a', 'b'], alive: true, draining: false, agent: 'my-worker/2' })
  assert.ok(firstSeenAt <= lastSeenAt)
  assert.deepEqual([second!.id, second!.queues, items.length], ['w2', [], 2])
})

test('A worker that is to drain is told so, gets no more jobs, finishes what it has, and may be resumed.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client)
  await submit(client)
  assert.deepEqual(bodyOf(await client.post('/api/v1/workers/worker-1/drain')), { draining: true })
  assert.equal((await read<Listed<Worker>>(client, '/workers')).items[0]!.draining, true)
  assert.deepEqual(await claimWith(client, { waitSeconds: 30 }), { jobs: [], drain: true })
  assert.equal(await commandFor(client, held), 'drain')
  await report(client, held, { outcome: 'completed' })
  const other = await claimWith(client, { workerId: 'worker-2' })
  assert.deepEqual([other.jobs.length, other.drain], [1, false])
  assert.deepEqual(bodyOf(await client.post('/api/v1/workers/worker-1/resume')), { draining: false })
  assert.equal((await claimWith(client)).drain, false)
  for (const verb of ['drain', 'resume'])
    expectProblem(await client.post(`/api/v1/workers/unknown/${verb}`), 404, 'worker_not_found')
})

test('A worker that waits for a job when it is to drain is told so when its wait ends.', async (t) => {
  const { client } = await startOctoflow(t)
  const waiting = claimWith(client, { waitSeconds: 1 })
  await until(async () => (await read<Listed<Worker>>(client, '/workers')).items.length === 1, { what: 'the worker waits' })
  expectStatus(await client.post('/api/v1/workers/worker-1/drain'), 200)
  assert.deepEqual(await waiting, { jobs: [], drain: true })
})

test('That a worker is to drain is remembered over a restart.', async (t) => {
  const { client, server } = await startOctoflow(t)
  await claim(client)
  expectStatus(await client.post('/api/v1/workers/worker-1/drain'), 200)
  await server.stop()
  const { client: again } = await startOctoflow(t, { data: server.data })
  assert.deepEqual(await claimWith(again), { jobs: [], drain: true })
})

test('A key with a queue scope is shown the workers of its queues, and drains none that serves others too.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'operator', queues: ['mine'] })
  await claim(client, { workerId: 'w-mine', queue: 'mine' })
  for (const queue of ['mine', 'theirs']) await claim(client, { workerId: 'w-both', queue })
  await claim(client, { workerId: 'w-theirs', queue: 'theirs' })
  const { items } = await read<Listed<Worker>>(client, '/workers', { key })
  assert.deepEqual(
    items.map(({ id, queues }) => [id, queues]),
    [
      ['w-both', ['mine']],
      ['w-mine', ['mine']],
    ],
  )
  expectStatus(await client.post('/api/v1/workers/w-mine/drain', { key }), 200)
  expectProblem(await client.post('/api/v1/workers/w-both/drain', { key }), 403, 'queue_out_of_scope')
  expectProblem(await client.post('/api/v1/workers/w-theirs/drain', { key }), 404, 'worker_not_found')
  const draining = (await read<Listed<Worker>>(client, '/workers')).items.filter((worker) => worker.draining)
  assert.deepEqual(
    draining.map(({ id }) => id),
    ['w-mine'],
  )
})
