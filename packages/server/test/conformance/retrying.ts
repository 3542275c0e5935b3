import assert from 'node:assert/strict'
import { after, COMPLETED, codes, completed, FAILED, type Group, NOW, QUEUE } from './harness.ts'

export const retrying: Group = (test) => {
  for (const state of ['completed', 'cancelled', 'dead'] as const) {
    test(`a finished job runs again from its first attempt: ${state}`, async ({
      finish,
      retry,
      job,
      counts,
      claimOne,
      storage,
    }) => {
      const id = await finish(state, { maxAttempts: 2 })
      await storage.requests.setHandled({ ids: [id], handled: true })
      assert.deepEqual(await retry(id, {}, after(10)), { id, error: null })
      const again = await job(id)
      assert.deepEqual(
        [again.state, again.runAt, again.attempt, again.startedAt, again.finishedAt, again.reason, again.cancelRequested],
        ['pending', after(10), 0, null, null, null, false],
      )
      assert.deepEqual([again.createdAt, again.maxAttempts], [NOW, 2])
      assert.equal((await storage.requests.find({ ids: [id] }))[0]?.handled, false)
      assert.deepEqual(await counts(), { ready: 1 })
      const claimed = await claimOne({ now: after(10) })
      assert.deepEqual([claimed.attempt, claimed.fence], [1, 2])
    })
  }

  test('a job that was cancelled while it ran, run again, is not under cancel any more', async ({
    start,
    cancel,
    report,
    retry,
    claimOne,
  }) => {
    const held = await start()
    await cancel(held.id)
    await report(held, { kind: 'cancelled', reason: null })
    await retry(held.id)
    assert.equal(await report(await claimOne(), FAILED), 'pending')
  })

  test('the report of an attempt before is no report on the one now', async ({ start, report, retry, claimOne, tryReport }) => {
    const first = await start()
    await report(first, FAILED)
    const second = await claimOne({ now: after(60) })
    await report(second, COMPLETED)
    await retry(first.id)
    const third = await claimOne({ now: after(60) })
    assert.ok(third.fence > second.fence, 'fences never go back')
    assert.equal((await tryReport(second, FAILED)).error?.code, 'lease_lost')
  })

  test('the result of the earlier run is gone', async ({ storage, start, report, retry }) => {
    const held = await start()
    await report(held, completed(1))
    await retry(held.id)
    assert.deepEqual(await storage.results.find({ jobIds: [held.id] }), [])
  })

  test('progress and status label of the earlier run are gone', async ({ storage, start, report, retry, job }) => {
    const held = await start()
    await storage.leases.heartbeat({ now: NOW, beats: [{ ...held, lease: 1, progress: { fraction: 0.5, message: null } }] })
    await storage.jobs.label({ id: held.id, label: 'Half way' })
    await report(held, COMPLETED)
    await retry(held.id)
    const { progress, statusLabel } = await job(held.id)
    assert.deepEqual({ progress, statusLabel }, { progress: null, statusLabel: null })
  })

  test('a job may run again with another payload, and its request stays as it came', async ({
    storage,
    finish,
    retry,
    claimOne,
    report,
  }) => {
    const id = await finish('dead', { body: '{"to":"nobody"}' })
    await retry(id, { payload: '{"to":"ada"}' })
    assert.equal(await storage.jobs.payload({ id }), '{"to":"ada"}')
    assert.equal((await storage.requests.find({ ids: [id] }))[0]?.body, '{"to":"nobody"}')
    const held = await claimOne()
    assert.equal(held.payload, '{"to":"ada"}')
    await report(held, COMPLETED)
    await retry(id)
    assert.equal((await claimOne()).payload, '{"to":"ada"}', 'a further run keeps it')
  })

  test('a payload may be put in the place of another one', async ({ finish, retry, claimOne, report }) => {
    const id = await finish('dead', { body: '1' })
    await retry(id, { payload: '2' })
    await report(await claimOne(), COMPLETED)
    await retry(id, { payload: '3' })
    assert.equal((await claimOne()).payload, '3')
  })

  test('a job may run again in another queue, which may be new', async ({ finish, retry, job, counts, claimIds }) => {
    const id = await finish('dead')
    assert.equal((await retry(id, { queue: 'repair' })).error, null)
    assert.equal((await job(id)).queue, 'repair')
    assert.deepEqual(await counts(), {})
    assert.deepEqual(await counts('repair'), { ready: 1 })
    assert.deepEqual(await claimIds(), [])
    assert.deepEqual(await claimIds({ queue: 'repair' }), [id])
  })

  test('a job in another queue follows that queue’s policy', async ({ finish, retry, claimOne, configure }) => {
    const id = await finish('dead')
    await configure({ maxAttempts: 9 }, 'repair')
    await retry(id, { queue: 'repair' })
    assert.equal((await claimOne({ queue: 'repair' })).maxAttempts, 9)
  })

  test('only a finished job runs again', async ({ submit, start, retry, counts }) => {
    const running = await start()
    const pending = await submit()
    const delayed = await submit({ runAt: after(60) })
    for (const [id, state] of [
      [running.id, 'running'],
      [pending, 'pending'],
      [delayed, 'pending'],
    ] as const) {
      const { error } = await retry(id)
      assert.equal(error?.code, 'job_not_finished')
      assert.deepEqual(error?.details, { id, state })
    }
    assert.deepEqual(await counts(), { running: 1, ready: 1, scheduled: 1 })
  })

  test('many run again in one call, each with an answer of its own', async ({ storage, finish, submit, counts }) => {
    const a = await finish('dead')
    const b = await finish('completed')
    const pending = await submit()
    const items = [a, 10_000, pending, b, a].map((id) => ({ id, payload: null, queue: null }))
    const results = await storage.jobs.retry({ now: NOW, items, note: 'Run again' })
    assert.deepEqual(codes(results), [null, 'job_not_found', 'job_not_finished', null, 'job_not_finished'])
    assert.deepEqual(await counts(), { ready: 3 })
  })

  test('a job run again goes by priority and age among the others', async ({ finish, submitAll, retry, claimIds }) => {
    const old = await finish('dead')
    const [later, urgent] = await submitAll([{}, { priority: 0 }])
    await retry(old)
    assert.deepEqual(await claimIds({ limit: 10 }), [urgent, old, later])
  })

  test('running again is noted on the timeline', async ({ finish, retry, messages }) => {
    const id = await finish('dead')
    await retry(id)
    assert.deepEqual(await messages(id), ['Run again'])
  })

  test('a job run again keeps its settings', async ({ finish, retry, job }) => {
    const settings = { priority: 2, maxAttempts: 4, uniqueKey: 'u', concurrencyKey: 'k', timeout: 5, labels: { a: 'b' } }
    const id = await finish('completed', settings)
    await retry(id)
    const stored = await job(id)
    assert.equal(stored.queue, QUEUE)
    for (const [name, value] of Object.entries(settings)) assert.deepEqual(stored[name as keyof typeof settings], value, name)
  })
}
