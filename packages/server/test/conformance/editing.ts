import assert from 'node:assert/strict'
import type { JobChange } from '../../src/storage/contract/jobs.ts'
import {
  after,
  COMPLETED,
  DISCARDED,
  FAILED,
  FIRST_100,
  type Fixture,
  type Group,
  LEASE,
  NOW,
  QUEUE,
  RELEASED,
} from './harness.ts'

export const editing: Group = (test) => {
  test('a changed priority changes the order', async ({ storage, submitAll, claimIds, job }) => {
    const [a, b, c] = (await submitAll([{}, {}, {}])) as [number, number, number]
    assert.equal(await edit(storage, c, { priority: 0 }), null)
    assert.equal(await edit(storage, a, { priority: 9 }), null)
    assert.equal((await job(c)).priority, 0)
    assert.deepEqual(await claimIds({ limit: 10 }), [c, b, a])
  })

  test('a changed priority changes the order within a concurrency key', async ({ storage, submitAll, claimIds, counts }) => {
    const keyed = { concurrencyKey: 'customer-7' }
    const [a, b, c] = (await submitAll([keyed, keyed, keyed])) as [number, number, number]
    await edit(storage, b, { priority: 4 })
    await edit(storage, c, { priority: 3 })
    await edit(storage, c, { priority: 8 })
    assert.deepEqual(await counts(), { ready: 1, held: 2 })
    assert.deepEqual(await claimIds({ limit: 10 }), [b])
    assert.ok(a)
  })

  test('a ready job can be put off', async ({ storage, submit, claim, claimIds, counts, job }) => {
    const id = await submit()
    await edit(storage, id, { runAt: after(60) })
    assert.equal((await job(id)).runAt, after(60))
    assert.deepEqual(await counts(), { scheduled: 1 })
    assert.deepEqual(await claim(), { jobs: [], nextAt: after(60) })
    assert.deepEqual(await claimIds({ now: after(60) }), [id])
  })

  test('a delayed job can be brought forward, or put off further', async ({ storage, submitAll, claim, claimIds, counts }) => {
    const [a, b] = (await submitAll([{ runAt: after(60) }, { runAt: after(60) }])) as [number, number]
    await edit(storage, a, { runAt: NOW })
    await edit(storage, b, { runAt: after(120) })
    assert.deepEqual(await counts(), { ready: 1, scheduled: 1 })
    assert.deepEqual(await claimIds(), [a])
    assert.deepEqual(await claim({ now: after(60) }), { jobs: [], nextAt: after(120) })
  })

  test('putting off a job makes way for the next of its key', async ({ storage, submitAll, claimIds, counts }) => {
    const keyed = { concurrencyKey: 'customer-7' }
    const [a, b] = (await submitAll([keyed, keyed])) as [number, number]
    await edit(storage, a, { runAt: after(60) })
    assert.deepEqual(await counts(), { ready: 1, scheduled: 1 })
    await edit(storage, a, { runAt: NOW })
    assert.deepEqual(await counts(), { ready: 1, held: 1 })
    assert.deepEqual(await claimIds({ limit: 10 }), [a])
    assert.ok(b)
  })

  test('labels are put in the place of the earlier ones', async ({ storage, submit, job }) => {
    const backoff = { base: 1, factor: 2, max: 3, jitter: 0 }
    const id = await submit({ labels: { customer: '7', kind: 'invoice' }, timeout: 5, backoff })
    await edit(storage, id, { labels: { kind: 'reminder' } })
    const { labels, timeout, backoff: kept } = await job(id)
    assert.deepEqual({ labels, timeout, kept }, { labels: { kind: 'reminder' }, timeout: 5, kept: backoff })
    const found = async (label: string): Promise<number> =>
      (await storage.jobs.list({ filter: { label }, page: FIRST_100 })).items.length
    assert.deepEqual(await Promise.all(['customer', 'kind=invoice', 'kind=reminder', 'kind'].map(found)), [0, 0, 1, 1])
    await edit(storage, id, { labels: {} })
    assert.deepEqual((await job(id)).labels, {})
    assert.equal(await found('kind'), 0)
  })

  test('what a change does not name stays', async ({ storage, submit, job }) => {
    const id = await submit({ priority: 2, runAt: after(60), labels: { a: 'b' }, concurrencyKey: 'k', uniqueKey: 'u' })
    const before = await job(id)
    await edit(storage, id, {})
    assert.deepEqual(await job(id), before)
    await edit(storage, id, { priority: 3 })
    assert.deepEqual(await job(id), { ...before, priority: 3 })
  })

  test('a job that waits for its next attempt can be brought forward', async ({ storage, start, report, claimOne }) => {
    const held = await start()
    await report(held, { kind: 'snoozed', delay: 60_000_000 })
    await edit(storage, held.id, { runAt: NOW })
    assert.equal((await claimOne()).id, held.id)
  })

  test('a running, a finished and an unknown job cannot be changed', async ({ storage, start, finish, job }) => {
    const running = await start()
    const dead = await finish('dead')
    const before = await Promise.all([job(running.id), job(dead)])
    assert.equal(await edit(storage, running.id, { priority: 0 }), 'job_running')
    assert.equal(await edit(storage, dead, { priority: 0 }), 'job_finished')
    assert.equal(await edit(storage, dead + 1, { priority: 0 }), 'job_not_found')
    assert.deepEqual(await Promise.all([job(running.id), job(dead)]), before)
  })

  test('a change is noted on the timeline', async ({ storage, submit, messages }) => {
    const id = await submit()
    await edit(storage, id, { priority: 0 })
    assert.deepEqual(await messages(id), ['Changed'])
  })

  test('a status label can be given in any state and changes none', async ({ storage, submit, start, finish, job, counts }) => {
    const finished = await finish('completed')
    const running = await start()
    const ids = [finished, running.id, await submit()]
    for (const id of ids) {
      const before = await job(id)
      assert.deepEqual(await storage.jobs.label({ id, label: 'Waiting for parts' }), { id, error: null })
      assert.deepEqual(await job(id), { ...before, statusLabel: 'Waiting for parts' })
    }
    assert.deepEqual(await counts(QUEUE), { ready: 1, running: 1, completed: 1 })
  })

  test('what is reported about a job takes the place of its status label', async ({ storage, start, submit, report, job }) => {
    const label = (id: number): Promise<unknown> => storage.jobs.label({ id, label: 'Half way' })
    const labelOf = async (id: number): Promise<string | null> => (await job(id)).statusLabel
    const renewal = { now: NOW, worker: 'w', lease: LEASE }

    for (const outcome of [COMPLETED, FAILED, RELEASED, DISCARDED]) {
      const plain = await start({ queue: outcome.kind })
      await label(plain.id)
      await report(plain, outcome)
      assert.equal(await labelOf(plain.id), null, outcome.kind)
    }
    const completed = await start()
    await report({ id: completed.id, fence: null }, COMPLETED)
    await label(completed.id)
    await report({ id: completed.id, fence: null }, COMPLETED)
    assert.equal(await labelOf(completed.id), null, 'a repetition means something, too')

    const pending = await submit()
    await label(pending)
    await storage.leases.renew({ ...renewal, id: pending, start: false })
    assert.equal(await labelOf(pending), 'Half way')
    await storage.leases.renew({ ...renewal, id: pending, start: true })
    assert.equal(await labelOf(pending), null)
    await label(pending)
    await storage.leases.renew({ ...renewal, id: pending, start: false })
    assert.equal(await labelOf(pending), 'Half way', 'a sign of life says nothing about the status')
    await storage.leases.renew({ ...renewal, id: pending, start: true })
    assert.equal(await labelOf(pending), null)

    const claimed = await submit({ queue: 'claimed' })
    await label(claimed)
    await storage.leases.claim({ now: NOW, queue: 'claimed', worker: 'w', limit: 1, lease: LEASE })
    assert.equal(await labelOf(claimed), null)
  })

  test('an unknown job and a request without one can be given no label', async ({ storage, submit }) => {
    const id = await submit({ queue: null })
    assert.equal((await storage.jobs.label({ id, label: 'x' })).error?.code, 'job_not_found')
    assert.equal((await storage.jobs.label({ id: id + 1, label: 'x' })).error?.code, 'job_not_found')
  })
}

/** @returns the error's code, if any. */
async function edit({ jobs }: Fixture['storage'], id: number, change: JobChange): Promise<string | null> {
  const result = await jobs.edit({ now: NOW, id, change, note: 'Changed' })
  assert.equal(result.id, id)
  return result.error?.code ?? null
}
