import assert from 'node:assert/strict'
import { HOUR, type Instant, MINUTE, SECOND } from '../../src/lib/time.ts'
import type { StatsSums } from '../../src/storage/contract/stats.ts'
import { after, COMPLETED, DISCARDED, FAILED, type Group, NOW, QUEUE, RELEASED, range, snoozed } from './harness.ts'

/** Whole minutes around the beginning. */
const MINUTE_0: Instant = NOW - (NOW % MINUTE)
const minute = (count: number): Instant => MINUTE_0 + count * MINUTE

export const stats: Group = (test) => {
  test('each thing that happens is counted once, in its queue', async (fixture) => {
    const { storage, submitAll, submit, claimOne, start, report, cancel, finish } = fixture
    await submitAll([{ queue: 'other' }, { queue: 'other', runAt: after(3_600) }])
    await finish('completed')
    await report(await start(), DISCARDED)
    const failing = await start({ maxAttempts: 2, backoff: { base: 0, factor: 1, max: 0, jitter: 0 } })
    await report(failing, FAILED)
    await report(await claimOne(), FAILED)
    await report(await start(), snoozed(HOUR))
    const released = await start()
    await report(released, RELEASED)
    await cancel(released.id)
    const lost = await start({ maxAttempts: 1 })
    await storage.leases.rescue({ now: after(31), limit: 10 })
    const waiting = await submit({ runAt: after(3_600) })
    await cancel(waiting)
    assert.ok(lost)

    const totals = await storage.stats.totals({ queues: null, from: minute(0), to: minute(2) })
    assert.deepEqual(
      totals,
      new Map([
        [
          QUEUE,
          sums({
            submitted: 7,
            started: 7,
            completed: 1,
            failed: 3,
            dead: 3,
            cancelled: 2,
            expired: 1,
            ran: 31 * SECOND,
            finished: 7,
          }),
        ],
        ['other', sums({ submitted: 2 })],
      ]),
    )
  })

  test('how long jobs waited and ran is summed', async ({ storage, submit, claimOne, report }) => {
    await submit({}, NOW)
    await submit({ runAt: after(10) }, NOW)
    const first = await claimOne({ now: after(3) })
    const second = await claimOne({ now: after(15) })
    await report(first, COMPLETED, { now: after(4.5) })
    await report(second, FAILED, { now: after(20), finishedAt: after(19) })
    const totals = (await storage.stats.totals({ queues: null, from: minute(0), to: minute(2) })).get(QUEUE)
    assert.deepEqual(
      totals,
      sums({ submitted: 2, started: 2, completed: 1, failed: 1, finished: 2, waited: 8 * SECOND, ran: 5.5 * SECOND }),
    )
  })

  test('a clock that was stepped back makes no sum negative', async ({ storage, submit, claimOne, report }) => {
    await submit({}, after(20))
    const held = await claimOne({ now: after(5) })
    await report(held, COMPLETED, { now: after(1) })
    const totals = (await storage.stats.totals({ queues: null, from: minute(-5), to: minute(5) })).get(QUEUE)
    assert.deepEqual([totals?.waited, totals?.ran], [0, 0])
  })

  test('a series has one point for each step in which something happened', async ({ storage, submit }) => {
    for (const [count, at] of [
      [1, minute(0)],
      [2, minute(1) - 1],
      [1, minute(1)],
      [3, minute(4)],
      [1, minute(12)],
    ] as const)
      for (const _ of range(1, count)) await submit({}, at)
    const points = async (from: Instant, to: Instant, step: number): Promise<(readonly [number, number])[]> =>
      (await storage.stats.series({ queues: null, from, to, step })).map(({ at, submitted }) => [
        (at - MINUTE_0) / MINUTE,
        submitted,
      ])
    assert.deepEqual(await points(minute(0), minute(60), MINUTE), [
      [0, 3],
      [1, 1],
      [4, 3],
      [12, 1],
    ])
    assert.deepEqual(await points(minute(1), minute(12), MINUTE), [
      [1, 1],
      [4, 3],
    ])
    const hour = NOW - (NOW % HOUR)
    assert.deepEqual(await points(hour, hour + HOUR, HOUR), [[(hour - MINUTE_0) / MINUTE, 8]])
    assert.deepEqual(await points(minute(20), minute(60), MINUTE), [])
  })

  test('steps begin at whole multiples of their length', async ({ storage, submit }) => {
    const quarter = 15 * MINUTE
    await submit({}, NOW)
    await submit({}, after(16 * 60))
    const points = await storage.stats.series({ queues: null, from: NOW - HOUR, to: NOW + HOUR, step: quarter })
    assert.deepEqual(
      points.map(({ at, submitted }) => [at, submitted]),
      [
        [NOW - (NOW % quarter), 1],
        [NOW - (NOW % quarter) + quarter, 1],
      ],
    )
  })

  test('sums over any span are those of its minutes, wherever it begins and ends between two hours', async ({
    storage,
    submit,
  }) => {
    const hour = NOW - (NOW % HOUR)
    const minutes = [1, 59, 60, 61, 119, 120, 150, 179, 180, 241, 300]
    for (const at of minutes) await submit({}, hour + at * MINUTE + 30 * SECOND)
    for (const [from, to] of [
      [0, 301],
      [1, 300],
      [2, 181],
      [59, 62],
      [60, 120],
      [61, 119],
      [61, 180],
      [119, 240],
      [150, 150],
    ] as const) {
      const span = { queues: null, from: hour + from * MINUTE, to: hour + to * MINUTE }
      const expected = minutes.filter((minute) => minute >= from && minute < to)
      const totals = await storage.stats.totals(span)
      assert.equal(totals.get(QUEUE)?.submitted ?? 0, expected.length, `from minute ${from} to ${to}`)
      for (const step of [MINUTE, 45 * MINUTE, HOUR, 90 * MINUTE, 2 * HOUR]) {
        const steps = Object.groupBy(expected, (minute) => Math.floor((hour + minute * MINUTE) / step) * step)
        const counted = Object.entries(steps).map(([at, there]) => [Number(at), there!.length])
        const points = await storage.stats.series({ ...span, step })
        assert.deepEqual(
          points.map(({ at, submitted }) => [at, submitted]),
          counted.sort(([a], [b]) => a! - b!),
          `from minute ${from} to ${to} in steps of ${step / MINUTE}`,
        )
      }
    }
  })

  test('series and totals are told for some queues or for all', async ({ storage, submitAll }) => {
    await submitAll([{ queue: 'a' }, { queue: 'b' }, { queue: 'b' }, { queue: 'c' }])
    const span = { from: minute(0), to: minute(1) }
    const submitted = async (queues: readonly string[] | null): Promise<number> =>
      (await storage.stats.series({ queues, ...span, step: MINUTE })).reduce((sum, point) => sum + point.submitted, 0)
    assert.equal(await submitted(null), 4)
    assert.equal(await submitted(['b', 'c', 'none']), 3)
    assert.equal(await submitted(['none']), 0)
    assert.equal(await submitted([]), 0)
    assert.deepEqual([...(await storage.stats.totals({ queues: ['b', 'none'], ...span })).keys()], ['b'])
    assert.equal((await storage.stats.totals({ queues: null, ...span })).size, 3)
  })

  test('what happens in a queue that a job moved to counts there', async ({ storage, finish, retry, claimOne, report }) => {
    const id = await finish('dead', { queue: 'a' })
    await retry(id, { queue: 'b' })
    await report(await claimOne({ queue: 'b' }), COMPLETED)
    const totals = await storage.stats.totals({ queues: null, from: minute(0), to: minute(1) })
    assert.deepEqual(totals.get('b'), sums({ started: 1, completed: 1, finished: 1 }))
  })

  test('sums larger than a whole number can be are told all the same', async ({ storage, submitAll, claim, report }) => {
    const then = Date.UTC(1970, 0, 2) * 1_000
    await submitAll([{ runAt: then }, { runAt: then }], then)
    const late = Number.MAX_SAFE_INTEGER - HOUR
    const { jobs } = await claim({ limit: 2, now: late })
    for (const job of jobs) await report(job, COMPLETED, { now: late })
    const [totals] = [...(await storage.stats.totals({ queues: null, from: 0, to: Number.MAX_SAFE_INTEGER })).values()]
    const expected = 2 * (late - then)
    assert.ok(Math.abs(totals!.waited - expected) < SECOND, `${totals!.waited} is about ${expected}`)
    assert.equal((await storage.stats.series({ queues: null, from: 0, to: Number.MAX_SAFE_INTEGER, step: MINUTE })).length, 2)
  })
}

const sums = (some: Partial<StatsSums>): StatsSums => ({
  submitted: 0,
  started: 0,
  completed: 0,
  failed: 0,
  dead: 0,
  cancelled: 0,
  expired: 0,
  waited: 0,
  ran: 0,
  finished: 0,
  ...some,
})
