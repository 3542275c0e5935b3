import assert from 'node:assert/strict'
import { after, COMPLETED, FAILED, type Fixture, type Group, range, type Wish } from './harness.ts'

const KEYED: Wish = { concurrencyKey: 'customer-7', uniqueKey: 'invoice-7', labels: { customer: '7' } }

/** A keyed job in every stage of its life, alone in its queue. */
const STAGES: Readonly<Record<string, (fixture: Fixture) => Promise<number>>> = {
  ready: ({ submit }) => submit(KEYED),
  scheduled: ({ submit }) => submit({ ...KEYED, runAt: after(60) }),
  running: async ({ start }) => (await start(KEYED)).id,
  'waiting for its next attempt': async ({ start, report }) => {
    const held = await start(KEYED)
    await report(held, FAILED)
    return held.id
  },
  completed: ({ finish }) => finish('completed', KEYED),
  cancelled: ({ finish }) => finish('cancelled', KEYED),
  dead: ({ finish }) => finish('dead', KEYED),
  'run again': async ({ finish, retry }) => {
    const id = await finish('dead', KEYED)
    await retry(id, { payload: '2' })
    return id
  },
}

export const deleting: Group = (test) => {
  for (const [stage, make] of Object.entries(STAGES)) {
    test(`a job can be deleted in any stage and leaves nothing behind: ${stage}`, async (fixture) => {
      const { storage, remove, counts, claimIds, submit } = fixture
      const id = await make(fixture)
      assert.deepEqual(await remove(id), { id, error: null })
      assert.deepEqual(await storage.jobs.find({ ids: [id] }), [])
      assert.deepEqual(await storage.jobs.attempts({ id }), [])
      assert.deepEqual(await counts(), {})
      assert.deepEqual(await claimIds({ now: after(3_600) }), [])
      assert.equal((await storage.leases.rescue({ now: after(3_600), limit: 10 })).length, 0)
      const next = await submit(KEYED)
      assert.deepEqual(await claimIds({ limit: 10 }), [next])
    })
  }

  test('deleting a held job leaves its key as it was', async ({ start, submitAll, remove, report, claimIds, counts }) => {
    const keyed = { concurrencyKey: 'customer-7' }
    const held = await start(keyed)
    const [a, b] = (await submitAll([keyed, keyed])) as [number, number]
    await remove(a)
    assert.deepEqual(await counts(), { running: 1, held: 1 })
    await report(held, COMPLETED)
    assert.deepEqual(await claimIds({ limit: 10 }), [b])
  })

  test('many of one key deleted at once, in whatever stage, let the next start', async ({
    storage,
    submitAll,
    claim,
    claimIds,
    configure,
    counts,
  }) => {
    await configure({ keyConcurrency: 3 })
    const ids = await submitAll(range(1, 10).map(() => ({ concurrencyKey: 'customer-7' })))
    await claim({ limit: 2 })
    await storage.requests.delete({ now: after(1), ids: ids.filter((_, index) => index % 2 === 0) })
    assert.deepEqual(await counts(), { running: 1, ready: 2, held: 2 })
    assert.deepEqual(await claimIds({ limit: 10 }), [ids[3], ids[5]])
  })
}
