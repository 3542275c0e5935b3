import assert from 'node:assert/strict'
import { SECOND } from '../../src/lib/time.ts'
import type { JobState } from '../../src/model/job.ts'
import type { Outcome } from '../../src/model/settle.ts'
import {
  after,
  COMPLETED,
  codes,
  completed,
  DISCARDED,
  event,
  FAILED,
  type Group,
  NOW,
  QUEUE,
  RELEASED,
  snoozed,
} from './harness.ts'

const CANCELLED: Outcome = { kind: 'cancelled', reason: 'superseded' }

const ALL: readonly Outcome[] = [COMPLETED, FAILED, snoozed(60 * SECOND), RELEASED, CANCELLED, DISCARDED]

export const reports: Group = (test) => {
  for (const outcome of ALL) {
    test(`a repeated report is served again without effect: ${outcome.kind}`, async (fixture) => {
      const { storage, start, tryReport, job, counts, messages } = fixture
      const held = await start()
      const first = await tryReport(held, outcome, { events: [event('once')] })
      const before = { job: await job(held.id), counts: await counts(), attempts: await storage.jobs.attempts({ id: held.id }) }
      const span = { queues: null, from: NOW, to: after(600) }
      const stats = await storage.stats.totals(span)
      assert.deepEqual(await tryReport(held, outcome, { now: after(9), events: [event('once')] }), first)
      const afterwards = {
        job: await job(held.id),
        counts: await counts(),
        attempts: await storage.jobs.attempts({ id: held.id }),
      }
      assert.deepEqual(afterwards, before)
      assert.deepEqual(await storage.stats.totals(span), stats)
      assert.deepEqual(await messages(held.id), ['once'])
    })

    test(`a report that contradicts the one before is refused: ${outcome.kind}`, async ({ start, tryReport, state }) => {
      const held = await start()
      const first = await tryReport(held, outcome)
      for (const other of ALL) {
        if (other.kind === outcome.kind) continue
        const { error } = await tryReport(held, other, { events: [event('never')] })
        assert.equal(error?.code, 'lease_lost', other.kind)
      }
      assert.equal(await state(held.id), first.state)
    })

    test(`a report under a stale lease is refused and changes nothing: ${outcome.kind}`, async (fixture) => {
      const { storage, start, claimOne, tryReport, job, messages } = fixture
      const stale = await start()
      await storage.leases.rescue({ now: after(31), limit: 1 })
      const current = await claimOne({ now: after(32), worker: 'worker-2' })
      const before = await job(stale.id)
      const { error, state, queue } = await tryReport(stale, outcome, { now: after(33), events: [event('never')] })
      assert.deepEqual([error?.code, state, queue], ['lease_lost', null, null])
      assert.deepEqual(await job(stale.id), before)
      assert.deepEqual(await messages(stale.id), [])
      assert.equal((await tryReport(current, COMPLETED, { now: after(34) })).error, null)
    })
  }

  test('a repeat is known even when the job has gone on since', async ({ start, tryReport, claimOne, state }) => {
    const first = await start()
    await tryReport(first, RELEASED)
    await claimOne()
    assert.equal((await tryReport(first, RELEASED)).error, null)
    assert.equal(await state(first.id), 'running')
  })

  test('a repeat of the completion is known though the job was run again', async ({
    storage,
    start,
    tryReport,
    retry,
    claimOne,
    state,
  }) => {
    const held = await start()
    await tryReport(held, completed('first'))
    await retry(held.id)
    await claimOne()
    assert.equal((await tryReport(held, completed('first'))).error, null)
    assert.equal(await state(held.id), 'running')
    assert.deepEqual(await storage.results.find({ jobIds: [held.id] }), [])
  })

  test('a fence of the future is stale too', async ({ start, tryReport }) => {
    const held = await start()
    assert.equal((await tryReport({ ...held, fence: held.fence + 1 }, COMPLETED)).error?.code, 'lease_lost')
  })

  test('a report on an unknown or a deleted job is refused', async ({ start, remove, tryReport }) => {
    const held = await start()
    await remove(held.id)
    assert.equal((await tryReport(held, COMPLETED)).error?.code, 'job_not_found')
    assert.equal((await tryReport({ ...held, fence: null }, COMPLETED)).error?.code, 'job_not_found')
  })

  test('a request without a job cannot be reported on', async ({ submit, tryReport }) => {
    const id = await submit({ queue: null })
    assert.equal((await tryReport({ id, fence: 1 }, COMPLETED)).error?.code, 'job_not_found')
    assert.equal((await tryReport({ id, fence: null }, COMPLETED)).error?.code, 'job_not_found')
  })

  for (const [first, second] of [
    [FAILED, COMPLETED],
    [COMPLETED, FAILED],
    [COMPLETED, COMPLETED],
  ] as const) {
    test(`of two reports on one job in one call the first holds: ${first.kind}, ${second.kind}`, async ({
      storage,
      start,
      state,
      counts,
    }) => {
      const held = await start({ maxAttempts: 1 })
      const one = (outcome: Outcome) => ({ id: held.id, fence: held.fence, outcome, finishedAt: null, events: [] })
      const results = await storage.leases.report({ now: NOW, reports: [one(first), one(second)] })
      const expected: JobState = first === COMPLETED ? 'completed' : 'dead'
      assert.deepEqual(codes(results), [null, first === second ? null : 'lease_lost'])
      assert.equal(await state(held.id), expected)
      assert.deepEqual(await counts(), { [expected]: 1 })
    })
  }

  test('many completions at once, some twice and some without a lease, count each job once', async ({
    storage,
    submitAll,
    claim,
    counts,
  }) => {
    await submitAll(Array.from({ length: 50 }, () => ({})))
    const { jobs } = await claim({ limit: 40 })
    const once = jobs.map(({ id, fence }) => ({ id, fence, outcome: COMPLETED, finishedAt: null, events: [event('done')] }))
    const calls = [once, once.slice(10, 20), once.map((report) => ({ ...report, fence: report.fence + 1 }))]
    const results = await Promise.all(calls.map((reports) => storage.leases.report({ now: NOW, reports })))
    assert.ok(results[0]!.every(({ error }) => error === null))
    assert.ok(results[1]!.every(({ error }) => error === null))
    assert.ok(results[2]!.every(({ error }) => error?.code === 'lease_lost'))
    assert.deepEqual(await counts(), { ready: 10, completed: 40 })
    for (const { id } of jobs) {
      const { items } = await storage.events.list({ jobId: id, page: { limit: 10, order: 'asc', after: null } })
      assert.equal(items.length, 1)
    }
  })

  test('without a token a report concerns whatever attempt is under way', async ({ start, report, claimOne, state }) => {
    const first = await start()
    await report({ ...first, fence: null }, RELEASED)
    await claimOne()
    assert.equal(await report({ ...first, fence: null }, completed(1)), 'completed')
    assert.equal(await state(first.id), 'completed')
  })

  test('without a token a job may be completed late, after its lease ran out', async ({
    storage,
    start,
    report,
    job,
    counts,
  }) => {
    const held = await start()
    await storage.leases.rescue({ now: after(31), limit: 1 })
    assert.equal(
      await report({ ...held, fence: null }, completed('late'), { now: after(40), events: [event('late')] }),
      'completed',
    )
    const { finishedAt, leaseUntil } = await job(held.id)
    assert.deepEqual({ finishedAt, leaseUntil }, { finishedAt: after(40), leaseUntil: null })
    assert.deepEqual(await counts(), { completed: 1 })
    assert.equal((await storage.results.find({ jobIds: [held.id] }))[0]?.value, '"late"')
    const attempts = await storage.jobs.attempts({ id: held.id })
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ['lease_expired'],
    )
  })

  test('running a job completed late again does not rewrite its attempts', async ({ storage, start, report, retry }) => {
    const held = await start()
    await storage.leases.rescue({ now: after(31), limit: 1 })
    await report({ ...held, fence: null }, COMPLETED, { now: after(40) })
    const before = await storage.jobs.attempts({ id: held.id })
    await retry(held.id, {}, after(50))
    assert.deepEqual(await storage.jobs.attempts({ id: held.id }), before)
  })

  test('without a token a pending job may be buried and cancelled', async ({ submitAll, report, counts }) => {
    const [a, b] = (await submitAll([{}, { runAt: after(60) }])) as [number, number]
    assert.equal(await report({ id: a, fence: null }, DISCARDED), 'dead')
    assert.equal(await report({ id: b, fence: null }, CANCELLED), 'cancelled')
    assert.deepEqual(await counts(), { dead: 1, cancelled: 1 })
  })

  test('without a token an outcome that means pending leaves a pending job as it is', async ({ submit, tryReport, job }) => {
    const id = await submit({ runAt: after(60) })
    const before = await job(id)
    for (const outcome of [FAILED, RELEASED, snoozed(SECOND)])
      assert.deepEqual(await tryReport({ id, fence: null }, outcome), { id, error: null, state: 'pending', queue: QUEUE })
    assert.deepEqual(await job(id), before)
  })

  test('without a token the final state of a job may be repeated but not changed', async ({ finish, tryReport, state }) => {
    const finals: readonly (readonly [Outcome, 'completed' | 'cancelled' | 'dead'])[] = [
      [COMPLETED, 'completed'],
      [CANCELLED, 'cancelled'],
      [DISCARDED, 'dead'],
    ]
    for (const [, made] of finals) {
      const id = await finish(made)
      for (const [outcome, wanted] of finals) {
        const { error } = await tryReport({ id, fence: null }, outcome)
        assert.equal(error?.code ?? null, wanted === made ? null : 'job_finished')
      }
      assert.equal((await tryReport({ id, fence: null }, FAILED)).error?.code, 'job_finished')
      assert.equal(await state(id), made)
    }
  })
}
