import assert from 'node:assert/strict'
import { SECOND } from '../../src/lib/time.ts'
import type { WaitingFacts } from '../../src/storage/contract/jobs.ts'
import { after, type Fixture, type Group, NOW, range } from './harness.ts'

export const waiting: Group = (test) => {
  test('a ready job waits for a worker', async ({ storage, submit, job }) => {
    const id = await submit()
    assert.deepEqual(await facts(storage, id), {
      job: await job(id),
      stage: 'ready',
      ahead: 0,
      queue: { paused: false, running: 0, concurrency: null, rateNextAt: null },
      key: null,
    })
  })

  test('how many go before a job is told by priority and age', async ({ storage, submitAll }) => {
    const ids = await submitAll([{}, { priority: 0 }, {}, { priority: 9 }, {}, { priority: 5, runAt: after(60) }])
    const ahead: number[] = []
    for (const id of ids.slice(0, 5)) ahead.push((await facts(storage, id)).ahead)
    assert.deepEqual(ahead, [1, 0, 2, 4, 3])
  })

  test('how many go before a job is counted up to 1000', async ({ storage, submitAll, submit }) => {
    await submitAll(range(1, 1_200).map(() => ({})))
    assert.equal((await facts(storage, await submit())).ahead, 1_000)
  })

  test('before a held job go those of its key that start before it, and no others', async ({ storage, start, submitAll }) => {
    const keyed = { concurrencyKey: 'k' }
    await start(keyed)
    const ids = await submitAll([keyed, { priority: 0 }, { concurrencyKey: 'other' }, { ...keyed, priority: 0 }, keyed, {}])
    const [first, , , urgent, last] = ids as [number, number, number, number, number]
    for (const [id, ahead] of [
      [urgent, 0],
      [first, 1],
      [last, 2],
    ] as const) {
      const found = await facts(storage, id)
      assert.deepEqual([found.stage, found.ahead], ['held', ahead])
    }
  })

  test('a job of its key that is free to start goes before a held one', async ({ storage, submitAll, configure }) => {
    await configure({ keyConcurrency: 2 })
    const ids = await submitAll(range(1, 1_203).map(() => ({ concurrencyKey: 'k' })))
    for (const [index, stage, ahead] of [
      [1, 'ready', 1],
      [2, 'held', 2],
      [4, 'held', 4],
      [1_202, 'held', 1_000],
    ] as const) {
      const found = await facts(storage, ids[index]!)
      assert.deepEqual([found.stage, found.ahead], [stage, ahead])
    }
  })

  test('a delayed job waits for its time, and when that has come for a worker', async ({ storage, submitAll }) => {
    const [plain, keyed] = (await submitAll([{ runAt: after(60) }, { runAt: after(60), concurrencyKey: 'k' }])) as [
      number,
      number,
    ]
    for (const id of [plain, keyed]) {
      assert.equal((await facts(storage, id, after(59))).stage, 'scheduled')
      assert.equal((await facts(storage, id, after(60))).stage, 'ready')
    }
  })

  test('a delayed job whose time has come waits for its key where that is busy', async ({ storage, start, submit }) => {
    await start({ concurrencyKey: 'k' })
    const id = await submit({ runAt: after(60), concurrencyKey: 'k' })
    assert.equal((await facts(storage, id, after(60))).stage, 'held')
  })

  test('the state of the queue is told', async ({ storage, submitAll, submit, claim, configure }) => {
    await configure({ paused: false, concurrency: 3, rateLimit: { limit: 2, period: 60 * SECOND } })
    await submitAll([{}, {}])
    await claim({ limit: 2 })
    await configure({ paused: true })
    const { queue } = await facts(storage, await submit(), after(1))
    assert.deepEqual({ ...queue, rateNextAt: 0 }, { paused: true, running: 2, concurrency: 3, rateNextAt: 0 })
    assert.ok(queue.rateNextAt !== null && queue.rateNextAt >= after(60) && queue.rateNextAt <= after(63) + 1)
    assert.equal((await facts(storage, await submit(), after(70))).queue.rateNextAt, null)
  })

  test('a held job is told who holds its key', async ({ storage, start, submit, configure }) => {
    await configure({ keyConcurrency: 2 })
    const a = await start({ concurrencyKey: 'k' }, { worker: 'worker-a' })
    const b = await start({ concurrencyKey: 'k' }, { worker: 'worker-b' })
    await start({ concurrencyKey: 'other' })
    const { stage, key } = await facts(storage, await submit({ concurrencyKey: 'k' }))
    assert.equal(stage, 'held')
    const holders = [
      { id: a.id, worker: 'worker-a' },
      { id: b.id, worker: 'worker-b' },
    ]
    assert.deepEqual(key && { ...key, holders: key.holders.map(({ id, worker }) => ({ id, worker })) }, {
      limit: 2,
      holders,
      running: 2,
      rateNextAt: null,
    })
  })

  test('of those who hold a key at most ten are told, and how many there are', async ({
    storage,
    submitAll,
    submit,
    claim,
    configure,
  }) => {
    await configure({ keyConcurrency: 12 })
    await submitAll(range(1, 12).map(() => ({ concurrencyKey: 'k' })))
    await claim({ limit: 12 })
    const { key } = await facts(storage, await submit({ concurrencyKey: 'k' }))
    assert.deepEqual([key?.holders.length, key?.running], [10, 12])
  })

  test('a job held by the rate limit of its key is told when that lets it start', async ({
    storage,
    submitAll,
    claim,
    configure,
  }) => {
    await configure({ keyConcurrency: 10, keyRateLimit: { limit: 1, period: 60 * SECOND } })
    const [, second] = await submitAll([{ concurrencyKey: 'k' }, { concurrencyKey: 'k' }])
    await claim()
    const { stage, key } = await facts(storage, second!, after(1))
    assert.equal(stage, 'held')
    assert.ok(key?.rateNextAt !== null && key!.rateNextAt >= after(60) && key!.rateNextAt <= after(63) + 1)
  })

  test('a job that is not pending does not wait', async ({ storage, start, finish, submit }) => {
    const finished = await finish('completed')
    const running = await start()
    const jobless = await submit({ queue: null })
    for (const id of [finished, running.id, jobless, jobless + 1])
      assert.equal(await storage.jobs.waiting({ now: NOW, id }), null)
  })
}

async function facts({ jobs }: Fixture['storage'], id: number, now: number = NOW): Promise<WaitingFacts> {
  const found = await jobs.waiting({ now, id })
  assert.ok(found)
  return found
}
