import assert from 'node:assert/strict'
import { type Duration, type Instant, SECOND } from '../../src/lib/time.ts'
import type { RateLimit } from '../../src/model/rate-limit.ts'
import { after, COMPLETED, type Fixture, type Group, LEASE, NOW, QUEUE, range } from './harness.ts'
import { Random } from './random.ts'

const TEN_A_MINUTE: RateLimit = { limit: 10, period: 60 * SECOND }

/** A start may wait for so much of the period longer than the limit itself demands. */
const SLACK = 0.05

export const rateLimits: Group = (test) => {
  test('no more jobs of a queue start within the period than its limit', async ({ submitAll, configure, claim }) => {
    await configure({ rateLimit: TEN_A_MINUTE })
    await submitAll(range(1, 15).map(() => ({})))
    assert.equal((await claim({ limit: 4 })).jobs.length, 4)
    assert.equal((await claim({ limit: 100, now: after(30) })).jobs.length, 6)
    assert.equal((await claim({ limit: 100, now: after(59) })).jobs.length, 0)
  })

  test('a claim held up by the limit learns when the next job may start', async ({ submitAll, configure, claim }) => {
    await configure({ rateLimit: TEN_A_MINUTE })
    await submitAll(range(1, 15).map(() => ({})))
    await claim({ limit: 10 })
    const { jobs, nextAt } = await claim({ limit: 1, now: after(1) })
    assert.deepEqual(jobs, [])
    assertSoonAfter(nextAt, after(60), TEN_A_MINUTE.period)
    assert.equal((await claim({ limit: 1, now: nextAt! - 1 })).jobs.length, 0)
    assert.equal((await claim({ limit: 1, now: nextAt! })).jobs.length, 1)
  })

  test('a claim that gets only what the limit lets through learns when the next job may start', async ({
    submitAll,
    configure,
    claim,
  }) => {
    await configure({ rateLimit: TEN_A_MINUTE })
    await submitAll(range(1, 15).map(() => ({})))
    const { jobs, nextAt } = await claim({ limit: 15 })
    assert.equal(jobs.length, 10)
    assertSoonAfter(nextAt, after(60), TEN_A_MINUTE.period)
  })

  test('a queue with nothing to start has no next time, limit or not', async ({ submitAll, configure, claim }) => {
    await configure({ rateLimit: TEN_A_MINUTE, keyRateLimit: TEN_A_MINUTE })
    await submitAll(range(1, 10).map(() => ({ concurrencyKey: null })))
    assert.equal((await claim({ limit: 10 })).jobs.length, 10)
    assert.deepEqual(await claim({ limit: 10 }), { jobs: [], nextAt: null })
  })

  test('the limit of the keys counts each key by itself and jobs without a key not at all', async ({
    submitAll,
    configure,
    claimIds,
  }) => {
    await configure({ keyConcurrency: 100, keyRateLimit: { limit: 2, period: 60 * SECOND } })
    const ids = await submitAll(['a', 'a', 'a', 'b', 'b', 'b', null, null, null].map((concurrencyKey) => ({ concurrencyKey })))
    const expected = [0, 1, 3, 4, 6, 7, 8].map((index) => ids[index]!)
    assert.deepEqual(await claimIds({ limit: 100 }), expected)
    assert.deepEqual(await claimIds({ limit: 100, now: after(59) }), [])
    assert.deepEqual(await claimIds({ limit: 100, now: after(64) }), [ids[2], ids[5]])
  })

  test('a claim held up by the limit of a key learns when the next job may start', async ({
    submitAll,
    configure,
    claim,
    counts,
  }) => {
    await configure({ keyConcurrency: 100, keyRateLimit: { limit: 1, period: 20 * SECOND } })
    await submitAll(['a', 'a', 'b'].map((concurrencyKey) => ({ concurrencyKey })))
    const { jobs, nextAt } = await claim({ limit: 10 })
    assert.equal(jobs.length, 2)
    assertSoonAfter(nextAt, after(20), 20 * SECOND)
    assert.deepEqual(await counts(), { running: 2, held: 1 })
    assert.equal((await claim({ now: nextAt! - 1 })).jobs.length, 0)
    assert.equal((await claim({ now: nextAt! })).jobs.length, 1)
  })

  test('a key needs both a free place and room in its limit', async ({ submitAll, configure, claim, claimOne, report }) => {
    await configure({ keyConcurrency: 1, keyRateLimit: { limit: 1, period: 20 * SECOND } })
    await submitAll(range(1, 3).map(() => ({ concurrencyKey: 'a' })))
    const held = await claimOne()
    assert.equal((await claim({ now: after(25) })).jobs.length, 0, 'the first still runs')
    await report(held, COMPLETED, { now: after(25) })
    const next = await claimOne({ now: after(25) })
    await report(next, COMPLETED, { now: after(26) })
    assert.equal((await claim({ now: after(27) })).jobs.length, 0, 'the second started just now')
  })

  test('a limit that is lifted holds nothing up from the next claim on', async ({ submitAll, configure, claimIds }) => {
    const limit = { limit: 1, period: 3_600 * SECOND }
    await configure({ rateLimit: limit, keyRateLimit: limit, keyConcurrency: 100 })
    const ids = await submitAll(range(1, 4).map(() => ({ concurrencyKey: 'a' })))
    assert.deepEqual(await claimIds({ limit: 10 }), [ids[0]])
    await configure({ rateLimit: null })
    assert.deepEqual(await claimIds({ limit: 10 }), [])
    await configure({ keyRateLimit: null })
    assert.deepEqual(await claimIds({ limit: 10 }), ids.slice(1))
  })

  test('a raised limit lets the difference start', async ({ submitAll, configure, claim }) => {
    await configure({ rateLimit: { limit: 2, period: 60 * SECOND } })
    await submitAll(range(1, 10).map(() => ({})))
    assert.equal((await claim({ limit: 10 })).jobs.length, 2)
    await configure({ rateLimit: { limit: 5, period: 60 * SECOND } })
    assert.equal((await claim({ limit: 10 })).jobs.length, 3)
  })

  test('an attempt after the first counts as a start too', async ({ start, configure, report, claimIds }) => {
    await configure({ rateLimit: { limit: 1, period: 60 * SECOND } })
    const held = await start()
    await report(held, { kind: 'released' })
    assert.deepEqual(await claimIds({ now: after(1) }), [])
    assert.deepEqual(await claimIds({ now: after(64) }), [held.id])
  })

  test('a limit holds under concurrent claims', async ({ submitAll, configure, servers }) => {
    await configure({ rateLimit: { limit: 7, period: 60 * SECOND } })
    await submitAll(range(1, 60).map(() => ({})))
    const handles = await servers(4)
    const claims = await Promise.all(
      range(0, 19).map((n) =>
        handles[n % 4]!.leases.claim({ now: NOW, queue: QUEUE, worker: `w${n}`, limit: 3, lease: LEASE }),
      ),
    )
    assert.equal(claims.flatMap(({ jobs }) => jobs).length, 7)
  })

  test('a clock that was stepped back holds nothing up for longer than the limit does', async (fixture) => {
    const { configure, submitAll, claim, storage } = fixture
    const period = 10 * SECOND
    await configure({ keyConcurrency: 2, rateLimit: { limit: 2, period }, keyRateLimit: { limit: 1, period } })
    await submitAll(range(1, 4).map((n) => ({ concurrencyKey: `customer-${n % 2}` })))
    assert.equal((await claim({ limit: 10, now: after(86_400) })).jobs.length, 2)
    assert.equal((await claim({ limit: 10, now: after(86_400) })).jobs.length, 0)
    await storage.leases.shift({ by: -86_400 * SECOND })
    assert.equal((await claim({ limit: 10, now: after(21) })).jobs.length, 2)
  })

  for (const seed of range(1, 6)) {
    test(`in no period do more jobs start than the limit, and all start in good time (seed ${seed})`, async (fixture) => {
      const random = new Random(seed)
      const limit = random.between(1, 12)
      const period = random.pick([SECOND, 7 * SECOND + 1, 60 * SECOND])
      const kind = random.pick(['rateLimit', 'keyRateLimit'] as const)
      await fixture.configure({ keyConcurrency: 1_000, [kind]: { limit, period } })
      await fixture.submitAll(range(1, 60).map(() => ({ concurrencyKey: 'a' })))
      const starts = await startAll(fixture, random, 60, period)
      for (const [index, start] of starts.entries()) {
        const within = starts.slice(index).filter((other) => other < start + period).length
        assert.ok(within <= limit, `${within} starts within the period from ${start - NOW}; the limit is ${limit}`)
      }
    })
  }
}

/** Claims now and then, in bursts and at the times that the claims themselves name. @returns when jobs started. */
async function startAll({ claim }: Fixture, random: Random, count: number, period: Duration): Promise<Instant[]> {
  const starts: Instant[] = []
  let now = NOW
  let lastStart = NOW
  while (starts.length < count) {
    const { jobs, nextAt } = await claim({ now, limit: random.between(1, 20) })
    for (const _ of jobs) starts.push(now)
    if (jobs.length > 0) lastStart = now
    else assert.ok(now - lastStart <= period * (1 + SLACK) + 1, 'a period after a start there is room for another')
    const pause = random.chance(0.3) ? 0 : random.between(1, Math.ceil(period / 10))
    now = nextAt !== null && random.chance(0.5) ? Math.max(now, nextAt) : now + pause
  }
  return starts
}

function assertSoonAfter(at: Instant | null, earliest: Instant, period: Duration): void {
  assert.ok(at !== null, 'there is a next time')
  assert.ok(at >= earliest, 'it is not before the limit allows')
  assert.ok(at <= earliest + period * SLACK + 1, 'it is not long after')
}
