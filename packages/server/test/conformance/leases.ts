import assert from 'node:assert/strict'
import { type Duration, MINUTE, SECOND } from '../../src/lib/time.ts'
import type { Progress } from '../../src/model/job.ts'
import { deadlineOf } from '../../src/model/settle.ts'
import type { BeatResult } from '../../src/storage/contract/leases.ts'
import { after, COMPLETED, FAILED, type Fixture, type Group, type Held, LEASE, NOW, QUEUE, range, snoozed } from './harness.ts'

const LOST: Omit<BeatResult, 'id'> = { leaseUntil: null, cancelRequested: false }

export const leases: Group = (test) => {
  test('a heartbeat renews the lease', async ({ storage, start, job }) => {
    const held = await start()
    assert.deepEqual(await beat(storage, held, after(20)), {
      id: held.id,
      leaseUntil: after(20) + LEASE,
      cancelRequested: false,
    })
    assert.equal((await job(held.id)).leaseUntil, after(20) + LEASE)
    assert.equal((await storage.leases.rescue({ now: after(40), limit: 10 })).length, 0)
  })

  test('a heartbeat stores the progress it brings and else leaves the last', async ({ storage, start, job }) => {
    const held = await start()
    await beat(storage, held, after(1), { fraction: 0.25, message: 'a quarter' })
    await beat(storage, held, after(2))
    assert.deepEqual((await job(held.id)).progress, { fraction: 0.25, message: 'a quarter' })
    await beat(storage, held, after(3), { fraction: null, message: null })
    assert.deepEqual((await job(held.id)).progress, { fraction: null, message: null })
  })

  test('a heartbeat is told of a requested cancel', async ({ storage, start, cancel }) => {
    const held = await start()
    await cancel(held.id)
    assert.equal((await beat(storage, held, after(1))).cancelRequested, true)
  })

  test('a heartbeat without a valid lease changes nothing and is told so', async ({
    storage,
    start,
    submit,
    report,
    claimOne,
    job,
  }) => {
    const first = await start()
    await report(first, { kind: 'released' })
    assert.deepEqual(await beat(storage, first, after(1)), { id: first.id, ...LOST }, 'it is pending')
    const second = await claimOne()
    assert.deepEqual(await beat(storage, first, after(1), { fraction: 1, message: null }), { id: first.id, ...LOST })
    assert.equal((await job(first.id)).leaseUntil, NOW + LEASE)
    assert.equal((await job(first.id)).progress, null)
    await report(second, COMPLETED)
    assert.deepEqual(await beat(storage, second, after(1)), { id: first.id, ...LOST }, 'it is completed')
    const unknown = { id: (await submit()) + 1, fence: 1 }
    assert.deepEqual(await beat(storage, unknown, after(1)), { id: unknown.id, ...LOST })
  })

  test('the heartbeats of one call are answered each for itself', async ({ storage, submitAll, claim }) => {
    await submitAll([{}, {}])
    const { jobs } = await claim({ limit: 2 })
    const [a, b] = jobs as readonly Held[] as readonly [Held, Held]
    const beats = [
      { id: a.id, fence: 1, lease: 10 * SECOND, progress: null },
      { id: b.id, fence: 2, lease: 10 * SECOND, progress: null },
      { id: b.id, fence: 1, lease: 20 * SECOND, progress: null },
    ]
    assert.deepEqual(await storage.leases.heartbeat({ now: after(5), beats }), [
      { id: a.id, leaseUntil: after(15), cancelRequested: false },
      { id: b.id, ...LOST },
      { id: b.id, leaseUntil: after(25), cancelRequested: false },
    ])
  })

  test('a job is taken back when its lease has run out, and not before', async ({ storage, start, state, job, counts }) => {
    const held = await start()
    assert.equal((await storage.leases.rescue({ now: NOW + LEASE - 1, limit: 10 })).length, 0)
    assert.equal(await state(held.id), 'running')
    assert.deepEqual(await storage.leases.rescue({ now: NOW + LEASE, limit: 10 }), [
      { id: held.id, queue: QUEUE, state: 'pending' },
    ])
    const { state: now, runAt, leaseUntil, attempt } = await job(held.id)
    assert.deepEqual({ now, runAt, leaseUntil, attempt }, { now: 'pending', runAt: NOW + LEASE, leaseUntil: null, attempt: 1 })
    assert.deepEqual(await counts(), { ready: 1 })
    assert.equal((await storage.leases.rescue({ now: NOW + LEASE, limit: 10 })).length, 0)
  })

  test('a lease that ran out is an attempt of its own', async ({ storage, start, claimOne }) => {
    const held = await start({}, { worker: 'worker-lost' })
    await storage.leases.rescue({ now: after(31), limit: 10 })
    const next = await claimOne({ now: after(32) })
    assert.deepEqual([next.id, next.attempt, next.fence], [held.id, 2, 2])
    const [first] = await storage.jobs.attempts({ id: held.id })
    const { error, ...attempt } = first!
    assert.equal(error?.code, 'lease_expired')
    assert.deepEqual(attempt, {
      fence: 1,
      attempt: 1,
      worker: 'worker-lost',
      startedAt: NOW,
      finishedAt: after(31),
      outcome: 'lease_expired',
    })
  })

  test('a job whose last attempt lost its lease is dead', async ({ storage, start, job, counts }) => {
    const held = await start({ maxAttempts: 1 })
    await storage.leases.rescue({ now: after(31), limit: 10 })
    const { state, reason, finishedAt } = await job(held.id)
    assert.deepEqual({ state, reason, finishedAt }, { state: 'dead', reason: 'lease_expired', finishedAt: after(31) })
    assert.deepEqual(await counts(), { dead: 1 })
  })

  test('jobs are taken back in batches, those that ran out first first', async ({ storage, submitAll, claim, state }) => {
    const ids = (await submitAll([{}, {}, {}])) as [number, number, number]
    for (const lease of [30, 10, 20]) await claim({ lease: lease * SECOND })
    assert.equal((await storage.leases.rescue({ now: after(60), limit: 2 })).length, 2)
    assert.deepEqual(await Promise.all(ids.map(state)), ['running', 'pending', 'pending'])
    assert.equal((await storage.leases.rescue({ now: after(60), limit: 2 })).length, 1)
  })

  test('concurrent rescues take each job back once', async ({ submitAll, claim, servers, counts }) => {
    await submitAll(range(1, 40).map(() => ({})))
    await claim({ limit: 40 })
    const handles = await servers(4)
    const rescued = await Promise.all(range(0, 7).map((n) => handles[n % 4]!.leases.rescue({ now: after(31), limit: 10 })))
    const total = rescued.flat().length
    assert.deepEqual(await counts(), { ready: total, ...(total < 40 && { running: 40 - total }) })
  })

  test('a worker may still report after its lease ran out, until the job is taken back', async ({
    storage,
    start,
    report,
    tryReport,
  }) => {
    const late = await start()
    assert.equal(await report(late, COMPLETED, { now: after(100) }), 'completed')
    const tooLate = await start()
    await storage.leases.rescue({ now: after(100), limit: 10 })
    const { error, state } = await tryReport(tooLate, COMPLETED, { now: after(101) })
    assert.equal(error?.code, 'lease_lost')
    assert.equal(state, null)
  })

  test('a lease is renewed without a token', async ({ storage, start, job }) => {
    const held = await start({}, { worker: 'worker-1' })
    const renewal = { now: after(10), id: held.id, worker: 'old-client' }
    for (const [minutes, begin] of [
      [15, false],
      [20, true],
    ] as const) {
      const lease = minutes * MINUTE
      const result = await storage.leases.renew({ ...renewal, lease, start: begin })
      assert.deepEqual(result, { id: held.id, error: null })
      const { leaseUntil, fence, worker } = await job(held.id)
      assert.deepEqual({ leaseUntil, fence, worker }, { leaseUntil: after(10) + lease, fence: 1, worker: 'worker-1' })
    }
  })

  test('renewal by a client that does not say that it works on the job leaves one that is not running', async ({
    storage,
    submit,
    finish,
    state,
  }) => {
    const finished = await finish('completed')
    const pending = await submit()
    for (const id of [pending, finished])
      assert.deepEqual(await storage.leases.renew({ now: NOW, id, worker: 'w', lease: LEASE, start: false }), {
        id,
        error: null,
      })
    assert.equal(await state(pending), 'pending')
    assert.equal(await state(finished), 'completed')
  })

  for (const [title, runAt] of [
    ['ready', null],
    ['delayed', after(600)],
  ] as const) {
    test(`a ${title} job is leased to a client without a token that works on it`, async ({
      storage,
      submit,
      job,
      counts,
      claimIds,
    }) => {
      const id = await submit({ runAt })
      await storage.leases.renew({ now: after(1), id, worker: 'old-client', lease: LEASE, start: true })
      const { state, worker, attempt, fence, startedAt, leaseUntil } = await job(id)
      assert.deepEqual(
        { state, worker, attempt, fence, startedAt, leaseUntil },
        { state: 'running', worker: 'old-client', attempt: 1, fence: 1, startedAt: after(1), leaseUntil: after(1) + LEASE },
      )
      assert.deepEqual(await counts(), { running: 1 })
      assert.deepEqual(await claimIds({ now: after(601) }), [])
      assert.equal((await storage.leases.rescue({ now: after(31), limit: 10 })).length, 1)
    })
  }

  test('a finished or unknown job cannot be leased', async ({ storage, finish }) => {
    const id = await finish('completed')
    const renew = async (which: number): Promise<string | undefined> =>
      (await storage.leases.renew({ now: NOW, id: which, worker: 'w', lease: LEASE, start: true })).error?.code
    assert.equal(await renew(id), 'job_finished')
    assert.equal(await renew(id + 1), 'job_not_found')
  })

  test('no lease of a job with a time-out outlasts it by much', async ({ storage, start, job }) => {
    const held = await start({ timeout: 60 * SECOND }, { lease: 3_600 * SECOND })
    const deadline = deadlineOf(NOW, 60 * SECOND)
    assert.equal(held.leaseUntil, deadline, 'as the claim tells')
    assert.equal((await job(held.id)).leaseUntil, deadline)
    assert.equal((await beat(storage, held, after(10), null, 30 * SECOND)).leaseUntil, after(40))
    assert.equal((await job(held.id)).leaseUntil, after(40))
    for (const progress of [null, { fraction: 0.5, message: null }]) {
      assert.equal((await beat(storage, held, after(50), progress, 30 * SECOND)).leaseUntil, deadline)
      assert.equal((await job(held.id)).leaseUntil, deadline)
    }
    await storage.leases.renew({ now: after(55), id: held.id, worker: 'w', lease: 3_600 * SECOND, start: true })
    assert.equal((await job(held.id)).leaseUntil, deadline)
    assert.deepEqual(await beat(storage, held, deadline), { id: held.id, ...LOST })
  })

  test('a job with a time-out that ends before that loses its lease like any other', async ({ storage, start }) => {
    const held = await start({ timeout: 60 * SECOND }, { lease: LEASE })
    assert.equal(held.leaseUntil, NOW + LEASE)
    await storage.leases.rescue({ now: NOW + LEASE, limit: 10 })
    assert.equal((await storage.jobs.attempts({ id: held.id }))[0]!.outcome, 'lease_expired')
  })

  test('a job taken back at its deadline has failed by its time-out, and is tried again after its backoff', async ({
    storage,
    start,
    job,
    claim,
    state,
  }) => {
    const backoff = { base: 10 * SECOND, factor: 1, max: 10 * SECOND, jitter: 0 }
    const held = await start({ timeout: 20 * SECOND, maxAttempts: 2, backoff }, { lease: LEASE })
    const deadline = deadlineOf(NOW, 20 * SECOND)
    assert.equal((await storage.leases.rescue({ now: deadline - 1, limit: 10 })).length, 0)
    assert.equal((await storage.leases.rescue({ now: deadline, limit: 10 })).length, 1)
    const [first] = await storage.jobs.attempts({ id: held.id })
    assert.equal(first!.outcome, 'failed')
    assert.equal(first!.error?.code, 'timeout')
    assert.equal((await job(held.id)).runAt, deadline + 10 * SECOND)

    const again = deadline + 10 * SECOND
    assert.equal((await claim({ now: again })).jobs.length, 1)
    await storage.leases.rescue({ now: deadlineOf(again, 20 * SECOND), limit: 10 })
    assert.equal(await state(held.id), 'dead')
    assert.equal((await job(held.id)).reason, 'attempts_exhausted')
  })

  test('the deadline of a time-out moves with the clock', async ({ storage, start, job }) => {
    const held = await start({ timeout: 60 * SECOND }, { lease: 3_600 * SECOND })
    await storage.leases.shift({ by: 3_600 * SECOND })
    assert.equal(
      (await beat(storage, held, after(3_610), null, 3_600 * SECOND)).leaseUntil,
      deadlineOf(after(3_600), 60 * SECOND),
    )
    assert.equal((await job(held.id)).leaseUntil, deadlineOf(after(3_600), 60 * SECOND))
  })

  test('attempts that were started before a time may be left alone', async ({ storage, start, report, claimOne, state }) => {
    const held = await start({ backoff: { base: 0, factor: 1, max: 0, jitter: 0 } })
    await report(held, FAILED)
    await claimOne({ now: after(10) })
    const rescue = (startedSince: number) => storage.leases.rescue({ now: after(100), startedSince, limit: 10 })
    assert.deepEqual(await rescue(after(11)), [])
    assert.equal(await state(held.id), 'running')
    assert.equal((await rescue(after(10))).length, 1)
  })

  test('leases move with the clock, forward and back', async ({ storage, start, submit, job }) => {
    const held = await start()
    const pending = await submit()
    await storage.leases.shift({ by: 3_600 * SECOND })
    assert.equal((await job(held.id)).leaseUntil, NOW + LEASE + 3_600 * SECOND)
    await storage.leases.shift({ by: -7_200 * SECOND })
    assert.equal((await job(held.id)).leaseUntil, NOW + LEASE - 3_600 * SECOND)
    assert.equal((await job(pending)).leaseUntil, null)
  })

  for (const [direction, by] of [
    ['forward', 3_600 * SECOND],
    ['back', -3_600 * SECOND],
  ] as const) {
    test(`backoffs and snoozes last as long as they were to when the clock is stepped ${direction}`, async (fixture) => {
      const { storage, start, report, job, claim, claimIds } = fixture
      const backoff = { base: 60 * SECOND, factor: 1, max: 60 * SECOND, jitter: 0 }
      const failed = await start({ backoff })
      await report(failed, FAILED)
      const asleep = await start({ concurrencyKey: 'k' })
      await report(asleep, snoozed(60 * SECOND))
      await storage.leases.shift({ by })
      for (const { id } of [failed, asleep]) assert.equal((await job(id)).runAt, after(60) + by)
      const { jobs, nextAt } = await claim({ now: after(59) + by, limit: 10 })
      assert.deepEqual([jobs, nextAt], [[], after(60) + by])
      assert.deepEqual(await claimIds({ now: after(60) + by, limit: 10 }), [failed.id, asleep.id])
    })
  }

  test('a time that somebody named stays what it is when the clock is stepped', async ({ storage, submit, claimIds, job }) => {
    const id = await submit({ runAt: after(60) })
    await storage.leases.shift({ by: 3_600 * SECOND })
    await storage.leases.shift({ by: -1_800 * SECOND })
    assert.equal((await job(id)).runAt, after(60))
    assert.deepEqual(await claimIds({ now: after(59) }), [])
    assert.deepEqual(await claimIds({ now: after(60) }), [id])
  })
}

async function beat(
  { leases }: Fixture['storage'],
  { id, fence }: Held,
  now: number,
  progress: Progress | null = null,
  lease: Duration = LEASE,
): Promise<BeatResult> {
  return (await leases.heartbeat({ now, beats: [{ id, fence: fence!, lease, progress }] }))[0]!
}
