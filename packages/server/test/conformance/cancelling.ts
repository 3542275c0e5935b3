import assert from 'node:assert/strict'
import { SECOND } from '../../src/lib/time.ts'
import type { Outcome } from '../../src/model/settle.ts'
import { after, COMPLETED, codes, DISCARDED, FAILED, FIRST_100, type Group, NOW, RELEASED, snoozed } from './harness.ts'

export const cancelling: Group = (test) => {
  for (const [stage, wish] of [
    ['ready', {}],
    ['scheduled', { runAt: after(60) }],
    ['held', { concurrencyKey: 'customer-7' }],
  ] as const) {
    test(`a pending job is cancelled at once: ${stage}`, async ({ submit, start, cancel, job, counts, claimIds }) => {
      await start({ concurrencyKey: 'customer-7' })
      const id = await submit(wish)
      assert.deepEqual(await counts(), { running: 1, [stage]: 1 })
      assert.deepEqual(await cancel(id, after(1)), { id, error: null })
      const { state, finishedAt, reason, startedAt } = await job(id)
      assert.deepEqual(
        { state, finishedAt, reason, startedAt },
        { state: 'cancelled', finishedAt: after(1), reason: 'not wanted', startedAt: null },
      )
      assert.deepEqual(await counts(), { running: 1, cancelled: 1 })
      assert.deepEqual(await claimIds({ now: after(61) }), [])
    })
  }

  test('a running job is asked to cancel and goes on until its worker obeys', async ({
    start,
    cancel,
    job,
    report,
    counts,
  }) => {
    const held = await start()
    assert.deepEqual(codes([await cancel(held.id, after(1))]), [null])
    const asked = await job(held.id)
    assert.deepEqual([asked.state, asked.cancelRequested, asked.finishedAt], ['running', true, null])
    assert.equal(await report(held, { kind: 'cancelled', reason: null }, { now: after(2) }), 'cancelled')
    const { reason, finishedAt } = await job(held.id)
    assert.deepEqual({ reason, finishedAt }, { reason: 'not wanted', finishedAt: after(2) })
    assert.deepEqual(await counts(), { cancelled: 1 })
  })

  test('a job completes although a cancel was requested, and has no reason then', async ({ start, cancel, report, job }) => {
    for (const finishedAt of [null, after(2)]) {
      const held = await start()
      await cancel(held.id)
      assert.equal(await report(held, COMPLETED, { finishedAt }), 'completed')
      assert.equal((await job(held.id)).reason, null)
    }
  })

  const ENDINGS: readonly Outcome[] = [COMPLETED, DISCARDED, FAILED, { kind: 'cancelled', reason: null }]
  for (const outcome of ENDINGS) {
    test(`a cancel is requested until the job has ended, however that was: ${outcome.kind}`, async (fixture) => {
      for (const finishedAt of [null, after(2)]) {
        const held = await fixture.start({ maxAttempts: 1 })
        await fixture.cancel(held.id)
        assert.equal((await fixture.job(held.id)).cancelRequested, true)
        await fixture.report(held, outcome, { finishedAt })
        assert.equal((await fixture.job(held.id)).cancelRequested, false)
      }
    })
  }

  const underCancel: readonly Outcome[] = [FAILED, snoozed(SECOND), RELEASED]
  for (const outcome of underCancel) {
    test(`a job that would be pending again is cancelled where that was requested: ${outcome.kind}`, async (fixture) => {
      const { storage, start, cancel, report, job, counts } = fixture
      const held = await start()
      await cancel(held.id)
      assert.equal(await report(held, outcome, { now: after(2) }), 'cancelled')
      const { reason, finishedAt } = await job(held.id)
      assert.deepEqual({ reason, finishedAt }, { reason: 'not wanted', finishedAt: after(2) })
      assert.equal((await storage.jobs.attempts({ id: held.id }))[0]?.outcome, outcome.kind)
      assert.deepEqual(await counts(), { cancelled: 1 })
    })
  }

  test('a job under a requested cancel that is discarded is dead, for the reason its worker gave', async ({
    start,
    cancel,
    report,
    job,
  }) => {
    const held = await start()
    await cancel(held.id)
    assert.equal(await report(held, DISCARDED), 'dead')
    assert.equal((await job(held.id)).reason, 'no such customer')
  })

  test('a job under a requested cancel whose lease runs out is cancelled', async ({
    storage,
    start,
    cancel,
    state,
    counts,
  }) => {
    const held = await start()
    await cancel(held.id)
    assert.equal((await storage.leases.rescue({ now: after(31), limit: 1 })).length, 1)
    assert.equal(await state(held.id), 'cancelled')
    assert.deepEqual(await counts(), { cancelled: 1 })
  })

  test('asking twice is no error, and the first reason stays', async ({ storage, start, cancel, job, messages }) => {
    const held = await start()
    await cancel(held.id)
    const again = await storage.jobs.cancel({ now: after(1), ids: [held.id], reason: 'again', note: 'Cancel requested again' })
    assert.deepEqual(codes(again), [null])
    assert.equal((await job(held.id)).reason, 'not wanted')
    assert.deepEqual(await messages(held.id), ['Cancel requested'])
  })

  for (const state of ['completed', 'cancelled', 'dead'] as const) {
    test(`a finished job cannot be cancelled: ${state}`, async ({ finish, cancel, job }) => {
      const id = await finish(state)
      const before = await job(id)
      const { error } = await cancel(id)
      assert.equal(error?.code, 'job_finished')
      assert.deepEqual(error?.details, { id, state })
      assert.deepEqual(await job(id), before)
    })
  }

  test('many are cancelled in one call, each with an answer of its own', async ({ storage, submitAll, finish, counts }) => {
    const done = await finish('completed')
    const [a, b] = (await submitAll([{}, {}])) as [number, number]
    const ids = [done, a, 10_000, b, a]
    const results = await storage.jobs.cancel({ now: NOW, ids, reason: 'r', note: 'n' })
    assert.deepEqual(codes(results), ['job_finished', null, 'job_not_found', null, 'job_finished'])
    assert.deepEqual(
      results.map(({ id }) => id),
      ids,
    )
    assert.deepEqual(await counts(), { completed: 1, cancelled: 2 })
  })

  test('a cancel is noted on the timeline', async ({ storage, submit, cancel }) => {
    const id = await submit()
    await cancel(id, after(1))
    const { items } = await storage.events.list({ jobId: id, page: FIRST_100 })
    assert.deepEqual(
      items.map(({ id: _, ...rest }) => rest),
      [{ jobId: id, at: after(1), kind: 'system', level: 'info', message: 'Cancel requested', data: null }],
    )
  })
}
