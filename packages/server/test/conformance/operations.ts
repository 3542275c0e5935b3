import assert from 'node:assert/strict'
import type { JobFilter } from '../../src/model/job-filter.ts'
import type { JobAction, Operation } from '../../src/model/operation.ts'
import { after, type Fixture, type Group, NOW, range, readAll } from './harness.ts'

export const operations: Group = (test) => {
  test('an operation is kept as it was asked for', async ({ storage }) => {
    const filter: JobFilter = {
      queues: ['emails'],
      states: ['dead'],
      label: 'a=b',
      createdFrom: after(-1),
      createdTo: after(1),
      text: 'x',
    }
    const made = await storage.operations.create({ now: NOW, action: 'retry', filter, by: 'key:k_7' })
    assert.deepEqual(made, {
      id: made.id,
      action: 'retry',
      filter,
      state: 'running',
      examined: 0,
      changed: 0,
      skipped: 0,
      createdAt: NOW,
      createdBy: 'key:k_7',
      finishedAt: null,
    })
    assert.deepEqual(await storage.operations.find({ ids: [made.id, made.id + 1] }), [made])
    assert.deepEqual(await storage.operations.unfinished(), [made])
  })

  test('it goes on step by step and remembers how far it got', async ({ storage, submitAll, counts }) => {
    await submitAll(range(1, 7).map(() => ({})))
    const { id } = await create(storage, 'cancel')
    const first = await step(storage, id, 3)
    assert.deepEqual(progress(first), { state: 'running', examined: 3, changed: 3, skipped: 0 })
    assert.deepEqual(await counts(), { ready: 4, cancelled: 3 })
    assert.deepEqual(progress(await step(storage, id, 3)), { state: 'running', examined: 6, changed: 6, skipped: 0 })
    const last = await step(storage, id, 3)
    assert.deepEqual(progress(last), { state: 'completed', examined: 7, changed: 7, skipped: 0 })
    assert.equal(last.finishedAt, after(1))
    assert.deepEqual(await counts(), { cancelled: 7 })
    assert.deepEqual(await storage.operations.unfinished(), [])
  })

  test('a step tells of the jobs that it led to another state', async ({ storage, submit, start, finish: end }) => {
    const pending = await submit({ queue: 'a' })
    const running = await start({ queue: 'b' })
    const { id } = await create(storage, 'cancel')
    const { moved } = await storage.operations.step({ now: after(1), id, limit: 10, note: '' })
    assert.deepEqual(moved, [{ id: pending, queue: 'a', state: 'cancelled' }])
    assert.equal(running.id, pending + 1, 'a running job is only asked to end')

    const dead = await end('dead', { queue: 'c' })
    const again = await create(storage, 'retry', { queues: ['c'] })
    const retried = await storage.operations.step({ now: after(1), id: again.id, limit: 10, note: '' })
    assert.deepEqual(retried.moved, [{ id: dead, queue: 'c', state: 'pending' }])
    const last = await create(storage, 'delete', { queues: ['c'] })
    assert.deepEqual((await storage.operations.step({ now: after(1), id: last.id, limit: 10, note: '' })).moved, [])
  })

  test('a finished one does nothing more', async ({ storage, submit, counts }) => {
    const { id } = await create(storage, 'cancel')
    const done = await finish(storage, id)
    await submit()
    const more = await storage.operations.step({ now: after(9), id, limit: 10, note: '' })
    assert.deepEqual(more, { operation: done, moved: [] })
    assert.deepEqual(await counts(), { ready: 1 })
  })

  test('jobs that come later are not touched', async ({ storage, submitAll, submit, counts }) => {
    await submitAll(range(1, 5).map(() => ({})))
    const { id } = await create(storage, 'cancel')
    await submitAll(range(1, 5).map(() => ({})))
    await step(storage, id, 4)
    await submit()
    assert.equal((await finish(storage, id)).changed, 5)
    assert.deepEqual(await counts(), { ready: 6, cancelled: 5 })
  })

  test('jobs submitted at the same moment are either all before it or all after', async ({ storage, submitAll, counts }) => {
    const [ids, operation] = await Promise.all([submitAll([{}, {}, {}]), create(storage, 'cancel')])
    const { changed } = await finish(storage, operation.id)
    assert.ok(changed === 0 || changed === ids.length)
    assert.deepEqual(await counts(), changed === 0 ? { ready: 3 } : { cancelled: 3 })
  })

  test('each job is concerned at most once, though the action makes it match again', async ({
    storage,
    finish: end,
    claim,
    report,
    counts,
  }) => {
    for (const _ of range(1, 6)) await end('dead')
    const { id } = await create(storage, 'retry', { states: ['dead'] })
    await step(storage, id, 2)
    const { jobs } = await claim({ limit: 2 })
    for (const job of jobs) await report(job, { kind: 'discarded', reason: 'again', error: null })
    assert.deepEqual(progress(await finish(storage, id)), { state: 'completed', examined: 6, changed: 6, skipped: 0 })
    assert.deepEqual(await counts(), { dead: 2, ready: 4 })
  })

  test('jobs that cannot be acted on are skipped and counted', async ({ storage, finish: end, start, submit, counts }) => {
    await end('completed')
    await end('dead', { uniqueKey: 'u' })
    await start()
    await submit()
    await submit({ uniqueKey: 'u' })
    const { id } = await create(storage, 'retry')
    assert.deepEqual(progress(await finish(storage, id)), { state: 'completed', examined: 5, changed: 1, skipped: 4 })
    assert.deepEqual(await counts(), { running: 1, ready: 3, dead: 1 })
  })

  test('only jobs that match are looked at', async ({ storage, submitAll, counts }) => {
    const labelled = { labels: { batch: '7' } }
    await submitAll([labelled, {}, { queue: 'other', ...labelled }, labelled, { body: '"seven"' }])
    const byLabel = await create(storage, 'cancel', { queues: ['emails'], label: 'batch=7' })
    assert.deepEqual(progress(await finish(storage, byLabel.id)), { state: 'completed', examined: 2, changed: 2, skipped: 0 })
    const byText = await create(storage, 'cancel', { text: 'SEVEN' })
    assert.equal((await finish(storage, byText.id)).changed, 1)
    assert.deepEqual(await counts(), { cancelled: 3, ready: 1 })
    assert.deepEqual(await counts('other'), { ready: 1 })
  })

  test('jobs are named one by one', async ({ storage, submitAll, counts }) => {
    const ids = (await submitAll(range(1, 5).map(() => ({})))) as number[]
    const { id } = await create(storage, 'delete', { ids: [ids[3]!, 10_000, ids[0]!, ids[3]!] })
    assert.deepEqual(progress(await finish(storage, id, 1)), { state: 'completed', examined: 2, changed: 2, skipped: 0 })
    assert.deepEqual(await counts(), { ready: 3 })
  })

  test('jobs are deleted in whatever state', async ({ storage, finish: end, start, submitAll, counts, claimIds }) => {
    await end('dead')
    await start({ concurrencyKey: 'k' })
    await submitAll([{ concurrencyKey: 'k' }, { runAt: after(60) }, {}])
    const { id } = await create(storage, 'delete')
    assert.equal((await finish(storage, id, 2)).changed, 5)
    assert.deepEqual(await counts(), {})
    assert.deepEqual(await claimIds({ now: after(60) }), [])
  })

  test('running jobs are asked to cancel', async ({ storage, start, job }) => {
    const held = await start()
    const { id } = await create(storage, 'cancel')
    assert.equal((await finish(storage, id)).changed, 1)
    assert.equal((await job(held.id)).cancelRequested, true)
  })

  test('the limits of the keys hold for jobs that it runs again', async ({ storage, finish: end, claimIds, counts }) => {
    for (const _ of range(1, 4)) await end('dead', { concurrencyKey: 'k' })
    const { id } = await create(storage, 'retry')
    await finish(storage, id)
    assert.deepEqual(await counts(), { ready: 1, held: 3 })
    assert.equal((await claimIds({ limit: 10 })).length, 1)
  })

  test('it is noted on the timeline of each job concerned', async ({ storage, submit, messages }) => {
    const jobId = await submit()
    const { id } = await create(storage, 'cancel')
    await storage.operations.step({ now: after(1), id, limit: 10, note: 'Cancel requested by key:k_7' })
    assert.deepEqual(await messages(jobId), ['Cancel requested by key:k_7'])
  })

  test('an aborted one stops where it is', async ({ storage, submitAll, counts }) => {
    await submitAll(range(1, 5).map(() => ({})))
    const { id } = await create(storage, 'cancel')
    await step(storage, id, 2)
    const aborted = await storage.operations.abort({ now: after(5), id })
    assert.deepEqual(progress(aborted), { state: 'aborted', examined: 2, changed: 2, skipped: 0 })
    assert.equal(aborted.finishedAt, after(5))
    assert.deepEqual(await step(storage, id, 10), aborted)
    assert.deepEqual(await counts(), { ready: 3, cancelled: 2 })
    assert.deepEqual(await storage.operations.unfinished(), [])
  })

  test('a finished one cannot be aborted, nor an unknown one stepped', async ({ storage }) => {
    const { id } = await create(storage, 'cancel')
    await finish(storage, id)
    await assert.rejects(storage.operations.abort({ now: NOW, id }), { code: 'operation_finished' })
    await assert.rejects(storage.operations.abort({ now: NOW, id: id + 1 }), { code: 'operation_not_found' })
    await assert.rejects(step(storage, id + 1, 1), { code: 'operation_not_found' })
  })

  test('what a restart interrupted goes on where it stopped', async ({ storage, opened, submitAll }) => {
    await submitAll(range(1, 5).map(() => ({})))
    const { id } = await create(storage, 'cancel')
    await step(storage, id, 2)
    const again = (await opened.reopen?.()) ?? storage
    const [left] = await again.operations.unfinished()
    assert.deepEqual(progress(left!), { state: 'running', examined: 2, changed: 2, skipped: 0 })
    assert.deepEqual(progress(await finish(again, id)), { state: 'completed', examined: 5, changed: 5, skipped: 0 })
  })

  test('a step over many jobs that do not match ends, and the operation with it', async ({ storage, submitAll, submit }) => {
    await submitAll(range(1, 4_500).map(() => ({})))
    await submit({ body: '"needle"' })
    const { id } = await create(storage, 'cancel', { text: 'needle' })
    assert.deepEqual(progress(await finish(storage, id, 10)), { state: 'completed', examined: 1, changed: 1, skipped: 0 })
  })

  test('concurrent steps concern each job once', async ({ storage, servers, submitAll }) => {
    await submitAll(range(1, 60).map(() => ({})))
    const { id } = await create(storage, 'cancel')
    const handles = await servers(4)
    await Promise.all(range(0, 9).map((n) => step(handles[n % 4]!, id, 5)))
    assert.deepEqual(progress(await finish(storage, id)), { state: 'completed', examined: 60, changed: 60, skipped: 0 })
  })

  test('operations are listed in pages, either way', async ({ storage }) => {
    const ids: number[] = []
    for (const _ of range(1, 5)) ids.push((await create(storage, 'cancel')).id)
    await finish(storage, ids[2]!)
    const list = async (order: 'asc' | 'desc'): Promise<number[]> =>
      (await readAll((page) => storage.operations.list({ page }), { limit: 2, order })).map(({ id }) => id)
    assert.deepEqual(await list('asc'), ids)
    assert.deepEqual(await list('desc'), ids.toReversed())
    const unfinished = (await storage.operations.unfinished()).map(({ id }) => id)
    assert.deepEqual(
      unfinished,
      ids.filter((id) => id !== ids[2]),
      'the oldest first',
    )
  })
}

type Storage = Fixture['storage']

const create = ({ operations: store }: Storage, action: JobAction, filter: JobFilter = {}): Promise<Operation> =>
  store.create({ now: NOW, action, filter, by: 'key:k_7' })

const step = async ({ operations: store }: Storage, id: number, limit: number): Promise<Operation> =>
  (await store.step({ now: after(1), id, limit, note: 'by operation' })).operation

async function finish(storage: Storage, id: number, limit = 100): Promise<Operation> {
  for (let steps = 0; steps < 1_000; steps++) {
    const operation = await step(storage, id, limit)
    if (operation.state !== 'running') return operation
  }
  throw new assert.AssertionError({ message: 'the operation ends' })
}

const progress = ({ state, examined, changed, skipped }: Operation) => ({ state, examined, changed, skipped })
