import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SubmitJob } from '@octoflow/protocol'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import {
  bodyOf,
  claim,
  claimOne,
  configure,
  detail,
  expectProblem,
  QUEUE,
  range,
  read,
  report,
  start,
  submit,
} from './native.ts'

interface Item {
  readonly ok: boolean
  readonly id?: number
  readonly outcome?: string
  readonly code?: string
  readonly message?: string
}

test('A submitted job is 201 with its id and address, and can be read at once.', async (t) => {
  const { client } = await startOctoflow(t)
  const answer = await client.post('/api/v1/jobs', { json: { queue: QUEUE, payload: { to: 'ada@example.com' } } })
  assert.deepEqual(bodyOf(answer, 201), { id: 1, queue: QUEUE, outcome: 'created' })
  assert.equal(answer.headers.get('location'), '/api/v1/jobs/1')
  const { createdAt, runAt, ...job } = await detail(client, 1)
  assert.equal(runAt, createdAt)
  assert.deepEqual(job, {
    id: 1,
    requestId: 1,
    queue: QUEUE,
    state: 'pending',
    priority: 5,
    startedAt: null,
    finishedAt: null,
    attempt: 0,
    maxAttempts: null,
    backoff: null,
    leaseUntil: null,
    worker: null,
    uniqueKey: null,
    concurrencyKey: null,
    timeoutSeconds: null,
    labels: {},
    statusLabel: null,
    progress: null,
    cancelRequested: false,
    reason: null,
    payload: { to: 'ada@example.com' },
    attempts: [],
    result: null,
    error: null,
  })
})

test('Every option of a job is kept and told to its worker.', async (t) => {
  const { client } = await startOctoflow(t)
  const options = {
    priority: 2,
    runAt: '2026-01-02T03:04:05.678901Z',
    maxAttempts: 7,
    backoff: { baseSeconds: 1.5, factor: 3, maxSeconds: 60, jitter: 0.25 },
    uniqueKey: 'invoice-7',
    concurrencyKey: 'customer-42',
    timeoutSeconds: 12.5,
    labels: { customer: '42', 'with space': 'ä=ö' },
  }
  const id = await submit(client, options)
  const job = await detail(client, id)
  for (const [name, value] of Object.entries(options)) assert.deepEqual(job[name as keyof typeof options], value, name)
  const { priority, runAt, maxAttempts, concurrencyKey, timeoutSeconds, labels } = await claimOne(client)
  const { backoff: _, uniqueKey: __, ...told } = options
  assert.deepEqual({ priority, runAt, maxAttempts, concurrencyKey, timeoutSeconds, labels }, told)
})

test('A payload is any JSON value and comes back byte for byte; left out, it is an empty object.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const payload of [
    'null',
    'false',
    '0',
    '-0.0',
    '1e400',
    '12345678901234567890',
    '"\\u0000 \\ud800"',
    '[ 1, {} ]',
    '{"a":1,"a":2}',
  ]) {
    const body = `{"queue":"${QUEUE}","payload":${payload}}`
    const { id } = bodyOf<{ id: number }>(await client.post('/api/v1/jobs', { body, type: 'application/json' }), 201)
    assert.ok((await client.get(`/api/v1/jobs/${id}`)).text.includes(`"payload":${payload}`), payload)
    assert.ok(
      (await client.post(`/api/v1/queues/${QUEUE}/claim`, { json: { workerId: 'w' } })).text.includes(`"payload":${payload}`),
      payload,
    )
  }
  assert.deepEqual((await detail(client, await submit(client))).payload, {})
})

test('Jobs start by priority, and within a priority in the order in which they came.', async (t) => {
  const { client } = await startOctoflow(t)
  const priorities = [5, 9, 0, 5, 1, 0, 9, 4]
  for (const priority of priorities) await submit(client, { priority })
  const expected = [3, 6, 5, 8, 1, 4, 2, 7]
  assert.deepEqual(
    (await claim(client, { limit: 3 })).map(({ id }) => id),
    expected.slice(0, 3),
  )
  assert.deepEqual(
    (await claim(client, { limit: 100 })).map(({ id }) => id),
    expected.slice(3),
  )
})

test('A job with runAt or delaySeconds does not start before, and whoever waits for it gets it then.', async (t) => {
  const { client } = await startOctoflow(t)
  const runAt = new Date(Date.now() + 600).toISOString()
  const first = await submit(client, { runAt })
  const second = await submit(client, { delaySeconds: 1.2 })
  const secondRunAt = (await detail(client, second)).runAt
  assert.equal((await detail(client, first)).runAt, runAt)
  assert.deepEqual(await claim(client), [])
  assert.equal((await claimOne(client, { waitSeconds: 10 })).id, first)
  assert.ok(Date.now() >= Date.parse(runAt), 'not before its time')
  assert.equal((await claimOne(client, { waitSeconds: 10 })).id, second)
  assert.ok(Date.now() >= Date.parse(secondRunAt), 'not before its delay is over')
})

test('A time beyond what can be kept is refused with the last that can, not replaced by it.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, {})
  for (const at of ['9999-12-31T23:59:59Z', '2255-06-05T23:47:34.740992Z']) {
    const refused = [
      await client.post('/api/v1/jobs', { json: { queue: QUEUE, runAt: at } }),
      await client.patch(`/api/v1/jobs/${id}`, { json: { runAt: at } }),
      await client.post(`/api/v1/jobs/${id}/events`, { json: { message: 'x', at } }),
      await client.post('/api/v1/keys', { json: { name: 'a', role: 'viewer', expiresAt: at } }),
    ]
    for (const answer of refused)
      assert.match(expectProblem(answer, 400, 'invalid_body').detail, /must be before 2255-06-05T23:47:34\.740991Z/)
  }
  await submit(client, { runAt: '2255-06-05T23:47:34.740990Z' })
  assert.equal((await client.get('/api/v1/jobs?createdTo=9999-12-31T23:59:59Z')).status, 200, 'to compare with, any will do')
})

test('runAt in the past is now, and an offset is understood; runAt beside delaySeconds, or what is no time, is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, { runAt: '2020-01-01T01:00:00+01:00' })
  assert.equal((await detail(client, id)).runAt, '2020-01-01T00:00:00.000Z')
  assert.equal((await claimOne(client)).id, id)
  for (const options of [
    { runAt: '2026-01-01', delaySeconds: 1 },
    { runAt: 'tomorrow' },
    { runAt: '2026-02-30T00:00:00Z' },
    { runAt: '1969-12-31T23:59:59Z' },
    { runAt: 7 },
    { delaySeconds: -1 },
    { delaySeconds: '5' },
    { delaySeconds: 1e12 },
  ]) {
    const { errors } = expectProblem(
      await client.post('/api/v1/jobs', { json: { queue: QUEUE, ...options } }),
      400,
      'invalid_body',
    )
    assert.match(errors![0]!.path, /^(?:runAt|delaySeconds)$/, JSON.stringify(options))
  }
})

test('While a unique key is held, a second job with it is not made, and the answer names the holder.', async (t) => {
  const { client } = await startOctoflow(t)
  const again = async (queue = QUEUE) => client.post('/api/v1/jobs', { json: { queue, uniqueKey: 'u' } })
  assert.deepEqual(bodyOf(await again(), 201), { id: 1, queue: QUEUE, outcome: 'created' })
  assert.deepEqual(bodyOf(await again(), 200), { id: 1, queue: QUEUE, outcome: 'existing' })
  assert.equal(bodyOf<Item>(await again('other'), 201).outcome, 'created', 'another queue has keys of its own')
  const held = await claimOne(client)
  assert.equal(bodyOf<Item>(await again(), 200).outcome, 'existing', 'also while it runs')
  await report(client, held, { outcome: 'completed' })
  assert.equal(bodyOf<Item>(await again(), 201).outcome, 'created')
})

test('Of a hundred submits with one unique key at once, one makes a job.', async (t) => {
  const { client } = await startOctoflow(t)
  const answers = await Promise.all(
    range(1, 100).map(() => client.post('/api/v1/jobs', { json: { queue: QUEUE, uniqueKey: 'u' } })),
  )
  const outcomes = answers.map((answer) => (answer.json as Item).outcome)
  assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
  assert.equal(outcomes.filter((outcome) => outcome === 'existing').length, 99)
  assert.equal(new Set(answers.map((answer) => (answer.json as Item).id)).size, 1)
})

test('At most one job of a concurrency key runs at once, others overtake it, and the next starts when it has ended.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const concurrencyKey of ['a', 'a', 'b']) await submit(client, { concurrencyKey })
  const plain = await submit(client)
  const claimed = await claim(client, { limit: 10 })
  assert.deepEqual(
    claimed.map(({ id }) => id),
    [1, 3, plain],
  )
  assert.deepEqual(claimed[0]!.concurrencyKey, 'a')
  const waiting = claimOne(client, { waitSeconds: 20 })
  await report(client, claimed[0]!, { outcome: 'completed' })
  assert.equal((await waiting).id, 2)
})

test('A job is tried as often as its own maxAttempts says, else its queue’s, else 3 times.', async (t) => {
  const { client } = await startOctoflow(t)
  const backoff = { baseSeconds: 0, factor: 1, maxSeconds: 0, jitter: 0 }
  const triesOf = async (job: Partial<SubmitJob>): Promise<number> => {
    const id = await submit(client, { backoff, ...job })
    for (let tries = 0; ; tries++) {
      const [held] = await claim(client)
      if (held === undefined) {
        assert.equal((await detail(client, id)).state, 'dead')
        return tries
      }
      assert.deepEqual([held.id, held.attempt], [id, tries + 1])
      await report(client, held, { outcome: 'failed', error: 'no' })
    }
  }
  assert.equal(await triesOf({}), 3)
  assert.equal(await triesOf({ maxAttempts: 1 }), 1)
  await configure(client, { maxAttempts: 2 })
  assert.equal(await triesOf({}), 2)
  assert.equal(await triesOf({ maxAttempts: 4 }), 4)
})

test('After a failure the next attempt waits as the backoff says: its own, else that of the queue.', async (t) => {
  const { client } = await startOctoflow(t)
  const waitAfterFailure = async (job: Partial<SubmitJob>): Promise<number[]> => {
    const held = await start(client, { maxAttempts: 3, ...job })
    await report(client, held, { outcome: 'failed', error: 'no' })
    const { runAt, attempts } = await detail(client, held.id)
    return [(Date.parse(runAt) - Date.parse(attempts[0]!.finishedAt!)) / 1_000]
  }
  assert.deepEqual(await waitAfterFailure({ backoff: { baseSeconds: 40, factor: 2, maxSeconds: 3600, jitter: 0 } }), [40])
  assert.deepEqual(await waitAfterFailure({ backoff: { baseSeconds: 40, factor: 2, maxSeconds: 10, jitter: 0 } }), [10])
  await configure(client, { backoff: { baseSeconds: 100, factor: 1, maxSeconds: 100, jitter: 0 } })
  assert.deepEqual(await waitAfterFailure({}), [100])
  const [jittered] = await waitAfterFailure({ backoff: { baseSeconds: 100, factor: 1, maxSeconds: 1000, jitter: 0.5 } })
  assert.ok(jittered! >= 50 && jittered! <= 150, String(jittered))
})

test('A batch answers for each job by itself: what does not fit fails alone.', async (t) => {
  const { client } = await startOctoflow(t)
  await submit(client, { uniqueKey: 'taken' })
  const jobs = [
    { queue: QUEUE, payload: 1 },
    { queue: '' },
    { queue: QUEUE, priorty: 1 },
    { queue: QUEUE, uniqueKey: 'taken' },
    { queue: QUEUE, runAt: 'soon' },
    7,
    { queue: 'x'.repeat(257) },
    { queue: 'other', payload: { n: 2 } },
    { queue: QUEUE, uniqueKey: 'twice' },
    { queue: QUEUE, uniqueKey: 'twice' },
  ]
  const { jobs: items } = bodyOf<{ jobs: Item[] }>(await client.post('/api/v1/jobs', { json: { jobs } }), 201)
  assert.deepEqual(
    items.map(({ outcome, code }) => outcome ?? code),
    [
      'created',
      'invalid_body',
      'invalid_body',
      'existing',
      'invalid_body',
      'invalid_body',
      'invalid_body',
      'created',
      'created',
      'existing',
    ],
  )
  assert.match(items[2]!.message!, /priorty is not known here; did you mean priority\?/)
  assert.equal(items[3]!.id, 1)
  assert.equal(items[9]!.id, items[8]!.id)
  assert.deepEqual((await detail(client, items[7]!.id!)).payload, { n: 2 })
})

test('A batch of 1000 is accepted, of which none is new is 200, an empty one or one of 1001 is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  const post = (jobs: unknown) => client.post('/api/v1/jobs', { json: { jobs } })
  const thousand = range(1, 1_000).map((n) => ({ queue: QUEUE, uniqueKey: `u${n}` }))
  assert.equal(bodyOf<{ jobs: Item[] }>(await post(thousand), 201).jobs.length, 1_000)
  const repeated = bodyOf<{ jobs: Item[] }>(await post(thousand), 200).jobs
  assert.ok(repeated.every(({ outcome }) => outcome === 'existing'))
  for (const jobs of [[], [...thousand, { queue: QUEUE }], {}, null, 'x']) expectProblem(await post(jobs), 400, 'invalid_body')
  expectProblem(await client.post('/api/v1/jobs', { json: { jobs: thousand, queue: QUEUE } }), 400, 'invalid_body')
})

test('A body that does not fit is 400 and says all that is wrong with it.', async (t) => {
  const { client } = await startOctoflow(t)
  const json = { queue: '', priority: 10, maxAttempts: 0, labels: { 'a=b': 'x' }, timeoutSeconds: 0, retries: 3 }
  const { errors, detail } = expectProblem(await client.post('/api/v1/jobs', { json }), 400, 'invalid_body')
  for (const path of ['queue', 'priority', 'maxAttempts', 'labels', 'timeoutSeconds', 'retries'])
    assert.ok(
      errors!.some((error) => error.path === path || error.path.startsWith(`${path}.`)),
      `${path}: ${detail}`,
    )
  for (const json of [null, [], 'text', 1, {}, { queue: null }, { queue: 7 }])
    expectProblem(await client.post('/api/v1/jobs', { json }), 400, 'invalid_body')
})

test('A queue’s name may be any text of up to 256 characters.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const queue of ['a/b', 'ä ö?&=#%', '...', '🐙'.repeat(256), "'; DROP TABLE octoflow_jobs; --"]) {
    const id = await submit(client, { queue })
    assert.equal((await claimOne(client, { queue })).id, id)
    assert.equal((await read<{ name: string }>(client, `/queues/${encodeURIComponent(queue)}`)).name, queue)
  }
})

test('A key with a queue scope submits to its queues alone, also within a batch.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'producer', queues: [QUEUE] })
  expectProblem(await client.post('/api/v1/jobs', { key, json: { queue: 'other' } }), 403, 'queue_out_of_scope')
  const jobs = [{ queue: 'other' }, { queue: QUEUE }, { queue: 'other' }]
  const { jobs: items } = bodyOf<{ jobs: Item[] }>(await client.post('/api/v1/jobs', { key, json: { jobs } }), 201)
  assert.deepEqual(
    items.map(({ outcome, code }) => outcome ?? code),
    ['queue_out_of_scope', 'created', 'queue_out_of_scope'],
  )
})

test('Half of a character is refused wherever jobs meet under it.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const field of [
    { queue: '\ud800' },
    { concurrencyKey: '\udfff' },
    { uniqueKey: 'a\ud800b' },
    { labels: { a: '\udc00' } },
  ]) {
    const answer = await client.post('/api/v1/jobs', { json: { queue: QUEUE, ...field } })
    assert.match(expectProblem(answer, 400, 'invalid_body').detail ?? '', /half of a character/, JSON.stringify(field))
  }
  await submit(client, { queue: 'ok 🐙', concurrencyKey: '🐙' })
})
