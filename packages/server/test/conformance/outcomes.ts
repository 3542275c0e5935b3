import assert from 'node:assert/strict'
import { type Backoff, backoffDelay, DEFAULT_BACKOFF } from '../../src/lib/backoff.ts'
import { SECOND } from '../../src/lib/time.ts'
import type { JobState } from '../../src/model/job.ts'
import type { Outcome } from '../../src/model/settle.ts'
import { ATTEMPTS_KEPT } from '../../src/storage/contract/jobs.ts'
import {
  after,
  COMPLETED,
  codes,
  completed,
  DISCARDED,
  event,
  FAILED,
  FIRST_100,
  type Group,
  type Held,
  NOW,
  QUEUE,
  RELEASED,
  range,
  snoozed,
} from './harness.ts'

const STEADY: Backoff = { base: 10 * SECOND, factor: 3, max: 60 * SECOND, jitter: 0.5 }

export const outcomes: Group = (test) => {
  test('a completed job is finished and free of its lease', async ({ start, report, job, counts }) => {
    const held = await start()
    assert.equal(await report(held, COMPLETED, { now: after(5) }), 'completed')
    const { state, finishedAt, leaseUntil, attempt, worker, startedAt, reason } = await job(held.id)
    assert.deepEqual(
      { state, finishedAt, leaseUntil, attempt, worker, startedAt, reason },
      {
        state: 'completed',
        finishedAt: after(5),
        leaseUntil: null,
        attempt: 1,
        worker: 'worker-1',
        startedAt: NOW,
        reason: null,
      },
    )
    assert.deepEqual(await counts(), { completed: 1 })
  })

  test('the answer to a report names the job’s queue and its state', async ({ start, tryReport }) => {
    const held = await start({ queue: 'reports' })
    assert.deepEqual(await tryReport(held, FAILED), { id: held.id, error: null, state: 'pending', queue: 'reports' })
  })

  test('the result of a completed job is kept', async ({ storage, start, report }) => {
    const [a, b] = [await start(), await start()]
    await report(a, completed({ sent: 3 }), { now: after(5) })
    await report(b, COMPLETED)
    const stored = await storage.results.find({ jobIds: [a.id, b.id, b.id + 1] })
    assert.deepEqual(stored, [{ jobId: a.id, at: after(5), value: '{"sent":3}' }])
  })

  test('completion marks the request as handled where the report says so', async ({ storage, start, report }) => {
    const [a, b, c] = [await start(), await start(), await start()]
    await storage.requests.setHandled({ ids: [c.id], handled: true })
    await report(a, { ...COMPLETED, handled: true } as Outcome)
    await report(b, COMPLETED)
    await report(c, COMPLETED)
    const found = await storage.requests.find({ ids: [a.id, b.id, c.id] })
    assert.deepEqual(
      found.map(({ handled }) => handled),
      [true, false, true],
    )
  })

  test('a failed job with attempts left waits out its backoff', async ({ start, report, job, counts, claim, claimOne }) => {
    const held = await start({ backoff: STEADY })
    assert.equal(await report(held, FAILED, { now: after(5) }), 'pending')
    const runAt = after(5) + backoffDelay(STEADY, 1, 0.5)
    const { state, runAt: stored, attempt, finishedAt, leaseUntil, reason } = await job(held.id)
    assert.deepEqual(
      { state, stored, attempt, finishedAt, leaseUntil, reason },
      { state: 'pending', stored: runAt, attempt: 1, finishedAt: null, leaseUntil: null, reason: null },
    )
    assert.deepEqual(await counts(), { scheduled: 1 })
    assert.deepEqual(await claim({ now: runAt - 1 }), { jobs: [], nextAt: runAt })
    assert.equal((await claimOne({ now: runAt })).attempt, 2)
  })

  test('backoff grows with each failure, and chance comes with the report', async ({ start, report, job, claimOne }) => {
    const { id, ...first } = await start({ backoff: STEADY, maxAttempts: 10 })
    let held: Held = { id, ...first }
    let now = NOW
    for (const [failures, random] of [0, 1, 0.25, 0.75].entries()) {
      await report(held, { ...FAILED, random } as Outcome, { now })
      const runAt = now + backoffDelay(STEADY, failures + 1, random)
      assert.equal((await job(id)).runAt, runAt)
      held = await claimOne({ now: runAt })
      now = runAt
    }
  })

  test('the backoff comes from the job, else from its queue, else from the default', async ({
    start,
    report,
    job,
    configure,
  }) => {
    const delays: number[] = []
    const fail = async (wish: { readonly backoff?: Backoff }): Promise<void> => {
      const held = await start(wish)
      await report(held, FAILED)
      delays.push((await job(held.id)).runAt - NOW)
    }
    await fail({})
    await configure({ backoff: STEADY })
    await fail({})
    await fail({ backoff: { ...STEADY, base: 40 * SECOND } })
    assert.deepEqual(delays, [DEFAULT_BACKOFF.base, 10 * SECOND, 40 * SECOND])
  })

  test('a job that fails without backoff may start again at once', async ({ start, report, claimIds, counts }) => {
    const held = await start({ backoff: { base: 0, factor: 10, max: 0, jitter: 0 } })
    await report(held, FAILED)
    assert.deepEqual(await counts(), { ready: 1 })
    assert.deepEqual(await claimIds(), [held.id])
  })

  test('a job that has used up its attempts is dead', async ({ start, report, job, counts, claimOne }) => {
    const first = await start({ maxAttempts: 2, backoff: { ...STEADY, base: 0 } })
    assert.equal(await report(first, FAILED), 'pending')
    assert.equal(await report(await claimOne(), FAILED, { now: after(1) }), 'dead')
    const { state, reason, finishedAt, attempt } = await job(first.id)
    assert.deepEqual(
      { state, reason, finishedAt, attempt },
      { state: 'dead', reason: 'attempts_exhausted', finishedAt: after(1), attempt: 2 },
    )
    assert.deepEqual(await counts(), { dead: 1 })
  })

  test('the attempt limit of the queue counts at the time of the failure', async ({ start, report, configure }) => {
    const held = await start()
    await configure({ maxAttempts: 1 })
    assert.equal(await report(held, FAILED), 'dead')
  })

  test('a snoozed job comes back at its time and its attempt does not count', async ({
    start,
    report,
    job,
    claim,
    claimOne,
  }) => {
    const held = await start({ maxAttempts: 1 })
    assert.equal(await report(held, snoozed(90 * SECOND), { now: after(5) }), 'pending')
    const { attempt, runAt, fence } = await job(held.id)
    assert.deepEqual({ attempt, runAt, fence }, { attempt: 0, runAt: after(95), fence: 1 })
    assert.equal((await claim({ now: after(95) - 1 })).nextAt, after(95))
    const again = await claimOne({ now: after(95) })
    assert.deepEqual([again.attempt, again.fence], [1, 2])
  })

  test('a released job may start at once and its attempt does not count', async ({ start, report, job, claimOne, counts }) => {
    const held = await start({ maxAttempts: 1 })
    assert.equal(await report(held, RELEASED, { now: after(5) }), 'pending')
    assert.deepEqual(await counts(), { ready: 1 })
    assert.equal((await job(held.id)).attempt, 0)
    assert.equal((await claimOne({ now: after(5) })).attempt, 1)
  })

  test('a worker may cancel its job', async ({ start, report, job, counts }) => {
    const held = await start()
    assert.equal(await report(held, { kind: 'cancelled', reason: 'superseded' }, { now: after(5) }), 'cancelled')
    const { reason, finishedAt } = await job(held.id)
    assert.deepEqual({ reason, finishedAt }, { reason: 'superseded', finishedAt: after(5) })
    assert.deepEqual(await counts(), { cancelled: 1 })
  })

  test('a discarded job is dead however many attempts are left', async ({ start, report, job, counts }) => {
    const held = await start({ maxAttempts: 100 })
    assert.equal(await report(held, DISCARDED, { now: after(5) }), 'dead')
    const { reason, finishedAt } = await job(held.id)
    assert.deepEqual({ reason, finishedAt }, { reason: 'no such customer', finishedAt: after(5) })
    assert.deepEqual(await counts(), { dead: 1 })
  })

  const endings: readonly (readonly [Outcome, JobState])[] = [
    [COMPLETED, 'completed'],
    [{ kind: 'cancelled', reason: null }, 'cancelled'],
    [DISCARDED, 'dead'],
  ]
  for (const [outcome, state] of endings) {
    test(`a client may say when its attempt ended: ${outcome.kind}`, async ({ start, report, job, storage }) => {
      const held = await start()
      assert.equal(await report(held, outcome, { now: after(9), finishedAt: after(4) }), state)
      assert.equal((await job(held.id)).finishedAt, after(4))
      assert.equal((await storage.jobs.attempts({ id: held.id })).at(-1)?.finishedAt, after(4))
    })
  }

  for (const outcome of [COMPLETED, FAILED, snoozed(SECOND), RELEASED, DISCARDED]) {
    test(`the events of a report are recorded in order: ${outcome.kind}`, async ({ storage, start, report }) => {
      const held = await start()
      const events = [event('half way', { at: after(1) }), event('done', { kind: 'log', level: 'warn', data: '{"left":0}' })]
      await report(held, outcome, { now: after(2), events })
      const { items } = await storage.events.list({ jobId: held.id, page: FIRST_100 })
      assert.deepEqual(
        items.map(({ id: _, ...rest }) => rest),
        [
          { jobId: held.id, at: after(1), kind: 'event', level: 'info', message: 'half way', data: null },
          { jobId: held.id, at: after(2), kind: 'log', level: 'warn', message: 'done', data: '{"left":0}' },
        ],
      )
    })
  }

  test('many reports of one call are answered each for itself', async ({ storage, submitAll, claim, counts }) => {
    await submitAll([{}, {}, {}, {}, {}, {}])
    const { jobs } = await claim({ limit: 6 })
    const all: readonly Outcome[] = [
      COMPLETED,
      FAILED,
      snoozed(SECOND),
      RELEASED,
      { kind: 'cancelled', reason: null },
      DISCARDED,
    ]
    const reports = jobs.map(({ id, fence }, index) => ({ id, fence, outcome: all[index]!, finishedAt: null, events: [] }))
    const unknown = { id: 10_000, fence: 1, outcome: COMPLETED, finishedAt: null, events: [] }
    const stale = { ...reports[2]!, fence: 7 }
    const results = await storage.leases.report({ now: NOW, reports: [unknown, ...reports, stale] })
    assert.deepEqual(codes(results), ['job_not_found', null, null, null, null, null, null, 'lease_lost'])
    assert.deepEqual(
      results.map(({ id, state, queue }) => [id, state, queue]),
      [
        [10_000, null, null],
        ...['completed', 'pending', 'pending', 'pending', 'cancelled', 'dead'].map((state, index) => [
          jobs[index]!.id,
          state,
          QUEUE,
        ]),
        [stale.id, null, null],
      ],
    )
    assert.deepEqual(await counts(), { completed: 1, scheduled: 2, ready: 1, cancelled: 1, dead: 1 })
  })

  test('a running attempt is told of without an end, a completed one with it', async ({ storage, start, report }) => {
    const held = await start({}, { worker: 'worker-9' })
    const running = { fence: 1, attempt: 1, worker: 'worker-9', startedAt: NOW, finishedAt: null, outcome: null, error: null }
    assert.deepEqual(await storage.jobs.attempts({ id: held.id }), [running])
    await report(held, COMPLETED, { now: after(3) })
    assert.deepEqual(await storage.jobs.attempts({ id: held.id }), [{ ...running, finishedAt: after(3), outcome: 'completed' }])
  })

  test('a job that never started has no attempts', async ({ storage, submit, cancel }) => {
    const id = await submit()
    assert.deepEqual(await storage.jobs.attempts({ id }), [])
    await cancel(id)
    assert.deepEqual(await storage.jobs.attempts({ id }), [])
  })

  test('the attempts tell the whole story of a job, across being run again', async ({
    storage,
    start,
    report,
    claimOne,
    retry,
  }) => {
    const { id, ...first } = await start({ backoff: { ...STEADY, base: 0 }, maxAttempts: 3 })
    await report({ id, ...first }, FAILED, { now: after(1) })
    await report(await claimOne({ now: after(2) }), snoozed(SECOND), { now: after(3) })
    await claimOne({ now: after(4) })
    await storage.leases.rescue({ now: after(60), limit: 1 })
    await report(await claimOne({ now: after(61) }), RELEASED, { now: after(62) })
    await report(await claimOne({ now: after(63) }), COMPLETED, { now: after(64) })
    await retry(id, {}, after(70))
    await report(await claimOne({ now: after(71) }), DISCARDED, { now: after(72) })
    await retry(id, {}, after(80))
    await claimOne({ now: after(81) })
    const attempts = await storage.jobs.attempts({ id })
    assert.deepEqual(
      attempts.map(({ fence, attempt, outcome, startedAt, finishedAt }) => [fence, attempt, outcome, startedAt, finishedAt]),
      [
        [1, 1, 'failed', NOW, after(1)],
        [2, 2, 'snoozed', after(2), after(3)],
        [3, 2, 'lease_expired', after(4), after(60)],
        [4, 3, 'released', after(61), after(62)],
        [5, 3, 'completed', after(63), after(64)],
        [6, 1, 'discarded', after(71), after(72)],
        [7, 1, null, after(81), null],
      ],
    )
    assert.deepEqual(attempts[0]?.error, { message: 'no route to host', code: 'EHOSTUNREACH', detail: 'at smtp' })
  })

  test('of a job that is snoozed again and again the last thousand attempts are remembered', async (fixture) => {
    const { storage, submit, claimOne, report } = fixture
    const id = await submit()
    const remembered = async (): Promise<readonly (readonly [fence: number, outcome: string | null])[]> =>
      (await storage.jobs.attempts({ id })).map(({ fence, outcome }) => [fence, outcome])
    for (const _ of range(1, ATTEMPTS_KEPT + 5)) await report(await claimOne(), snoozed(0))
    assert.deepEqual(
      await remembered(),
      range(6, ATTEMPTS_KEPT + 5).map((fence) => [fence, 'snoozed']),
    )
    const last = await claimOne()
    const [[oldest], newest] = [(await remembered())[0]!, (await remembered()).at(-1)]
    assert.deepEqual([oldest, newest], [7, [last.fence, null]])
    await report(last, COMPLETED)
    assert.equal((await remembered()).length, ATTEMPTS_KEPT)
  })
}
