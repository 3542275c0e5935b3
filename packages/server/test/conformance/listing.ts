import assert from 'node:assert/strict'
import type { PageRequest } from '../../src/storage/contract/page.ts'
import { after, COMPLETED, type Fixture, type Group, range, readAll } from './harness.ts'
import { Random } from './random.ts'

export const listing: Group = (test) => {
  for (const limit of [1, 3, 9, 10, 11, 100]) {
    test(`pages of ${limit} hold every job once, in order, either way`, async (fixture) => {
      const { storage } = fixture
      const ids = await jobsInEveryStage(fixture)
      assert.equal(ids.length, 10)
      for (const filter of [
        {},
        { queues: ['emails', 'reports'] },
        { states: ['pending', 'running', 'completed', 'cancelled', 'dead'] as const },
      ]) {
        const list = (page: PageRequest) => storage.jobs.list({ filter, page })
        assert.deepEqual((await readAll(list, { limit, order: 'asc' })).map(idOf), ids)
        assert.deepEqual((await readAll(list, { limit, order: 'desc' })).map(idOf), ids.toReversed())
      }
    })
  }

  test('requests are listed with those that made no job', async (fixture) => {
    const ids = [
      ...(await fixture.submitAll([{}, { queue: null }])),
      ...(await jobsInEveryStage(fixture)),
      await fixture.submit({ queue: null }),
    ]
    const list = (page: PageRequest) => fixture.storage.requests.list({ filter: {}, page })
    assert.deepEqual((await readAll(list, { limit: 4, order: 'asc' })).map(idOf), ids)
    assert.deepEqual((await readAll(list, { limit: 4, order: 'desc' })).map(idOf), ids.toReversed())
  })

  test('a list of nothing is an empty page', async ({ storage }) => {
    const page: PageRequest = { limit: 10, order: 'desc', after: null }
    assert.deepEqual(await storage.jobs.list({ filter: {}, page }), { items: [], next: null })
    assert.deepEqual(await storage.requests.list({ filter: {}, page }), { items: [], next: null })
    assert.deepEqual(await storage.operations.list({ page }), { items: [], next: null })
    assert.deepEqual(await storage.events.list({ jobId: 1, page }), { items: [], next: null })
  })

  test('a listed job is the same as one found', async (fixture) => {
    const ids = await jobsInEveryStage(fixture)
    const { items } = await fixture.storage.jobs.list({ filter: {}, page: { limit: 100, order: 'asc', after: null } })
    assert.deepEqual(items, await fixture.storage.jobs.find({ ids }))
  })

  test('a listed request is the same as one found', async ({ storage, submitAll }) => {
    const ids = await submitAll([
      { headers: { a: 'b' }, body: '[1]' },
      { queue: null, sourceIp: '::1' },
    ])
    const { items } = await storage.requests.list({ filter: {}, page: { limit: 100, order: 'asc', after: null } })
    assert.deepEqual(items, await storage.requests.find({ ids }))
  })

  test('a page goes on from any place, also one that is gone', async ({ storage, submitAll, remove }) => {
    const ids = await submitAll(range(1, 6).map(() => ({})))
    await remove(ids[2]!)
    const from = async (order: 'asc' | 'desc'): Promise<number[]> =>
      (await storage.jobs.list({ filter: {}, page: { limit: 2, order, after: ids[2]! } })).items.map(idOf)
    assert.deepEqual(await from('asc'), [ids[3], ids[4]])
    assert.deepEqual(await from('desc'), [ids[1], ids[0]])
  })

  for (const order of ['asc', 'desc'] as const) {
    test(`a list holds each job once though jobs change their state while it is read (${order})`, async (fixture) => {
      const { storage, submitAll, claim, report, cancel, retry } = fixture
      const ids = await submitAll(range(1, 120).map((n) => ({ priority: n % 10 })))
      const random = new Random(120)
      const filter = { queues: ['emails'], states: ['pending', 'running', 'completed', 'cancelled', 'dead'] as const }
      const seen: number[] = []
      for (let next: number | null = null, first = true; first || next !== null; first = false) {
        const page: Awaited<ReturnType<typeof storage.jobs.list>> = await storage.jobs.list({
          filter,
          page: { limit: 7, order, after: next },
        })
        seen.push(...page.items.map(idOf))
        next = page.next
        const { jobs } = await claim({ limit: random.between(0, 9) })
        for (const job of jobs) if (random.chance(0.7)) await report(job, random.chance(0.5) ? COMPLETED : { kind: 'released' })
        await cancel(random.pick(ids))
        await retry(random.pick(ids))
      }
      assert.deepEqual(seen, order === 'asc' ? ids : ids.toReversed())
    })
  }

  test('what comes while a list is read does not disturb it', async ({ storage, submitAll, submit }) => {
    const ids = await submitAll(range(1, 9).map(() => ({})))
    const first = await storage.jobs.list({ filter: {}, page: { limit: 4, order: 'desc', after: null } })
    await submit()
    const rest = await readAll(
      (page) => storage.jobs.list({ filter: {}, page: { ...page, after: page.after ?? first.next } }),
      {
        limit: 4,
        order: 'desc',
      },
    )
    assert.deepEqual([...first.items, ...rest].map(idOf), ids.toReversed())
  })

  test('a list over very many queues is whole, too', async ({ storage, submitAll, finish }) => {
    const dead = await finish('dead', { queue: 'q0' })
    const ids = await submitAll(range(1, 700).map((n) => ({ queue: `q${n}` })))
    for (const [states, wanted] of [
      [['pending'], ids],
      [['dead'], [dead]],
    ] as const)
      for (const order of ['asc', 'desc'] as const) {
        const list = (page: PageRequest) => storage.jobs.list({ filter: { states }, page })
        const seen = (await readAll(list, { limit: 100, order })).map(idOf)
        assert.deepEqual(seen, order === 'asc' ? wanted : wanted.toReversed())
      }
    const queues = range(1, 60).map((n) => `q${n}`)
    const requests = (page: PageRequest) => storage.requests.list({ filter: { queues }, page })
    assert.deepEqual((await readAll(requests, { limit: 50, order: 'asc' })).map(idOf), ids.slice(0, 60))
  })

  test('jobs of many queues and priorities come in one order', async ({ storage, submitAll, start }) => {
    await start({ queue: 'q0' })
    await submitAll(range(1, 200).map((n) => ({ queue: `q${n % 7}`, priority: n % 10, runAt: n % 3 === 0 ? after(60) : null })))
    const list = (page: PageRequest) => storage.jobs.list({ filter: { states: ['pending', 'running'] }, page })
    const ids = (await readAll(list, { limit: 30, order: 'asc' })).map(idOf)
    assert.equal(ids.length, 201)
    assert.deepEqual(
      ids,
      ids.toSorted((a, b) => a - b),
    )
  })
}

const idOf = ({ id }: { readonly id: number }): number => id

/** @returns the ids, which rise. */
async function jobsInEveryStage({ submitAll, start, finish }: Fixture): Promise<number[]> {
  const finished = [
    await finish('completed', { queue: 'reports' }),
    await finish('cancelled', { queue: 'reports' }),
    await finish('dead', { queue: 'reports' }),
  ]
  const running = [await start({ queue: 'reports' }), await start({ queue: 'reports', concurrencyKey: 'k' })].map(idOf)
  const pending = await submitAll([
    { queue: 'emails', priority: 9 },
    { queue: 'reports', priority: 0 },
    { queue: 'reports', runAt: after(60) },
    { queue: 'reports', concurrencyKey: 'k' },
    { queue: 'emails', priority: 2 },
  ])
  return [...finished, ...running, ...pending]
}
