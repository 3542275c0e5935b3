import assert from 'node:assert/strict'
import { DAY, type Duration, HOUR, type Instant, MINUTE } from '../../src/lib/time.ts'
import { after, event, FIRST_100, type Fixture, type Group, NOW, newRequest, range } from './harness.ts'
import { Random } from './random.ts'

const LATER: Instant = NOW + 10 * DAY

export const upkeep: Group = (test) => {
  test('finished jobs that have outlived their retention are deleted with all that hangs on them', async (fixture) => {
    const { storage, finish, counts } = fixture
    const old = await finish('completed', { labels: { a: 'b' } })
    await storage.events.append({ now: NOW, items: [{ jobId: old, event: event('said') }] })
    const young = await finish('dead', {}, LATER)
    assert.deepEqual(await prune(storage, { retention: DAY }), { deleted: 1, more: false })
    assert.deepEqual(await storage.requests.find({ ids: [old] }), [])
    assert.deepEqual(await storage.jobs.attempts({ id: old }), [])
    assert.deepEqual((await storage.events.list({ jobId: old, page: FIRST_100 })).items, [])
    assert.deepEqual((await storage.jobs.list({ filter: { label: 'a' }, page: FIRST_100 })).items, [])
    assert.equal((await storage.jobs.find({ ids: [young] })).length, 1)
    assert.deepEqual(await counts(), { dead: 1 })
  })

  for (const state of ['completed', 'cancelled', 'dead'] as const) {
    test(`retention counts from the end of a job, to the microsecond: ${state}`, async ({ storage, start, report }) => {
      const held = await start()
      const outcome = {
        completed: { kind: 'completed', result: null, handled: true },
        cancelled: { kind: 'cancelled', reason: null },
        dead: { kind: 'discarded', reason: '', error: null },
      } as const
      const end = after(100)
      await report(held, outcome[state], { now: end })
      assert.equal((await prune(storage, { retention: DAY, now: end + DAY })).deleted, 0)
      assert.equal((await prune(storage, { retention: DAY, now: end + DAY + 1 })).deleted, 1)
    })
  }

  test('what is not finished is never deleted', async ({ storage, submitAll, start, counts }) => {
    await start({ concurrencyKey: 'k' })
    await submitAll([{}, { runAt: after(1) }, { concurrencyKey: 'k' }])
    assert.deepEqual(await prune(storage, { retention: 0, now: NOW + 1_000 * DAY }), { deleted: 0, more: false })
    assert.deepEqual(await counts(), { running: 1, ready: 1, scheduled: 1, held: 1 })
  })

  test('a queue’s own retention goes before the general one', async ({ storage, finish, configure, counts }) => {
    for (const queue of ['short', 'long', 'general']) await finish('completed', { queue })
    await configure({ retention: DAY }, 'short')
    await configure({ retention: 100 * DAY }, 'long')
    assert.equal((await prune(storage, { retention: null })).deleted, 1)
    assert.deepEqual(
      [await counts('short'), await counts('long'), await counts('general')],
      [{}, { completed: 1 }, { completed: 1 }],
    )
    assert.equal((await prune(storage, { retention: 5 * DAY })).deleted, 1)
    assert.deepEqual([await counts('long'), await counts('general')], [{ completed: 1 }, {}])
  })

  test('requests without a job are deleted by the general retention', async ({ storage, submitAll, submit }) => {
    const old = await submitAll([{ queue: null }, { queue: null }])
    const young = await submit({ queue: null }, LATER)
    assert.deepEqual(await prune(storage, { retention: null }), { deleted: 0, more: false })
    assert.deepEqual(await prune(storage, { retention: DAY }), { deleted: 2, more: false })
    assert.deepEqual(
      (await storage.requests.find({ ids: [...old, young] })).map(({ id }) => id),
      [young],
    )
  })

  test('a retention of nothing deletes what finished before now', async ({ storage, finish }) => {
    await finish('completed')
    assert.equal((await prune(storage, { retention: 0, now: NOW + 1 })).deleted, 1)
  })

  test('much is deleted in batches, and the last says that there is no more', async (fixture) => {
    const { storage, counts } = fixture
    await finishMany(fixture, 45)
    await fixture.submitAll(range(1, 15).map(() => ({ queue: null })))
    const deleted: number[] = []
    for (let more = true; more; ) {
      const batch = await prune(storage, { retention: DAY, limit: 10 })
      assert.ok(batch.deleted <= 10, 'no batch is larger than asked for')
      deleted.push(batch.deleted)
      more = batch.more
      assert.ok(deleted.length < 50, 'it ends')
    }
    assert.equal(
      deleted.reduce((sum, count) => sum + count, 0),
      60,
    )
    assert.deepEqual(await counts(), {})
  })

  test('outlived jobs are found behind many that finished lately', async (fixture) => {
    const { storage, retry, claim, counts } = fixture
    const ids = await finishMany(fixture, 60)
    for (const id of ids.slice(0, 50)) await retry(id, {}, LATER)
    await complete(fixture, (await claim({ now: LATER, limit: 50 })).jobs, LATER)
    assert.equal((await pruneAll(storage, 8)).deleted, 10)
    assert.deepEqual(await counts(), { completed: 50 })
  })

  test('pruning many queues with much that is kept comes to an end', async (fixture) => {
    const { storage, claim, retry } = fixture
    for (const [queue, count] of [
      ['a', 17],
      ['b', 23],
      ['c', 29],
    ] as const) {
      const ids = await finishMany(fixture, count, queue)
      for (const id of ids) await retry(id, {}, LATER)
      await complete(fixture, (await claim({ queue, now: LATER, limit: 100 })).jobs, LATER)
    }
    const { deleted, rounds } = await pruneAll(storage, 4)
    assert.equal(deleted, 0)
    assert.ok(rounds <= 30, `it took ${rounds} rounds`)
  })

  test('pruning comes to each of hundreds of queues', async ({ storage, submitAll }) => {
    const ids = await submitAll(range(1, 450).map((n) => ({ queue: `queue-${n}` })))
    await storage.jobs.cancel({ now: NOW, ids, reason: '', note: '' })
    assert.equal((await pruneAll(storage, 100)).deleted, 450)
    assert.equal((await pruneAll(storage, 100)).deleted, 0)
  })

  test('after a round of pruning the next finds what has outlived its retention since', async (fixture) => {
    const { storage } = fixture
    await finishMany(fixture, 5)
    assert.equal((await pruneAll(storage, 2, NOW)).deleted, 0)
    assert.equal((await pruneAll(storage, 2, LATER)).deleted, 5)
  })

  test('idempotency keys are forgotten once they have expired', async ({ storage, trySubmit }) => {
    const idempotency = { key: 'k', fingerprint: null, expiresAt: after(60) }
    const [first] = await trySubmit([{ idempotency }])
    await prune(storage, { now: after(60) - 1 })
    assert.equal((await trySubmit([{ idempotency }], after(1)))[0]?.id, first?.id)
    await prune(storage, { now: after(60) })
    const again = await storage.requests.submit({ now: after(1), items: [newRequest({ idempotency })] })
    assert.equal(again[0]?.outcome, 'created')
  })

  test('workers long gone are forgotten, and others not', async ({ storage }) => {
    const sighting = (id: string, at: Instant) => ({ id, at, queues: [], agent: null })
    await storage.workers.seen({ workers: [sighting('gone', NOW), sighting('here', NOW + 364 * DAY)] })
    await prune(storage, { now: NOW + 365 * DAY })
    assert.deepEqual(
      (await storage.workers.list({ since: 0 })).map(({ id }) => id),
      ['here'],
    )
  })

  test('what happened is told by the minute for a month and by the hour for a year, then forgotten', async ({
    storage,
    submit,
  }) => {
    const then = NOW - (NOW % HOUR)
    await submit({}, NOW)
    await submit({}, NOW + 1_000 * DAY)
    const points = async (step: Duration): Promise<number> =>
      (await storage.stats.series({ queues: null, from: then, to: then + 2_000 * DAY, step })).length
    await prune(storage, { now: NOW + 30 * DAY })
    assert.deepEqual([await points(MINUTE), await points(HOUR)], [2, 2])
    await prune(storage, { now: NOW + 399 * DAY })
    assert.equal(await points(HOUR), 2)
    await prune(storage, { now: NOW + 1_001 * DAY })
    assert.deepEqual([await points(MINUTE), await points(HOUR)], [1, 1])
  })

  test('pruning forgets no start that a rate limit still counts', async ({ storage, configure, submitAll, claim }) => {
    await configure({ rateLimit: { limit: 1, period: 10 * DAY } })
    await submitAll([{}, {}])
    await claim()
    await prune(storage, { now: NOW + 10 * DAY - 1 })
    assert.equal((await claim({ now: NOW + 10 * DAY - 1 })).jobs.length, 0)
    assert.equal((await claim({ now: NOW + 11 * DAY })).jobs.length, 1)
  })

  test('an empty database has nothing to prune', async ({ storage }) => {
    assert.deepEqual(await prune(storage, { retention: 0 }), { deleted: 0, more: false })
  })

  test('a healthy database passes its check, which changes nothing', async ({ storage, submit }) => {
    const first = await submit()
    await Promise.all([storage.upkeep.check(), submit(), storage.upkeep.check()])
    assert.equal((await storage.jobs.list({ filter: {}, page: FIRST_100 })).items.length, 2)
    assert.ok((await submit()) > first)
  })

  test('the database takes some space, and more when it holds more', async ({ storage, submitAll }) => {
    const before = await storage.upkeep.size()
    assert.ok(before.bytes > 0 && before.logBytes >= 0 && before.logBytes <= before.bytes)
    // Not of a kind that a database could store in less.
    const random = new Random(1)
    const body = (): string => JSON.stringify(range(1, 1_000).map(() => random.between(0, 999_999_999)))
    await submitAll(range(1, 100).map(() => ({ body: body() })))
    const { bytes, logBytes } = await storage.upkeep.size()
    assert.ok(bytes > before.bytes + 500_000 && logBytes <= bytes)
  })
}

type Storage = Fixture['storage']

interface Prune {
  readonly now?: Instant
  readonly retention?: Duration | null
  readonly limit?: number
}

const prune = ({ upkeep: store }: Storage, { now = LATER, retention = null, limit = 100 }: Prune) =>
  store.prune({ now, retention, limit })

/** Prunes batch by batch as long as there is more to do. */
async function pruneAll(storage: Storage, limit: number, now: Instant = LATER): Promise<{ deleted: number; rounds: number }> {
  let deleted = 0
  for (let rounds = 1; rounds <= 100; rounds++) {
    const batch = await prune(storage, { now, retention: DAY, limit })
    deleted += batch.deleted
    if (!batch.more) return { deleted, rounds }
  }
  throw new assert.AssertionError({ message: 'pruning ends' })
}

async function finishMany(fixture: Fixture, count: number, queue = 'emails'): Promise<number[]> {
  const ids = await fixture.submitAll(range(1, count).map(() => ({ queue })))
  await complete(fixture, (await fixture.claim({ queue, limit: count })).jobs, NOW)
  return ids
}

async function complete(
  { storage }: Fixture,
  jobs: readonly { readonly id: number; readonly fence: number }[],
  now: Instant,
): Promise<void> {
  const outcome = { kind: 'completed', result: null, handled: true } as const
  await storage.leases.report({
    now,
    reports: jobs.map(({ id, fence }) => ({ id, fence, outcome, finishedAt: null, events: [] })),
  })
}
