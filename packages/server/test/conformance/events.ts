import assert from 'node:assert/strict'
import { after, event, FIRST_100, type Fixture, type Group, NOW, range, readAll } from './harness.ts'

export const events: Group = (test) => {
  test('events are kept in the order in which they were said', async ({ storage, submitAll }) => {
    const [a, b] = (await submitAll([{}, {}])) as [number, number]
    const ids = await storage.events.append({
      now: NOW,
      items: [
        { jobId: a, event: event('one') },
        { jobId: b, event: event('of another') },
        { jobId: a, event: event('two', { kind: 'log', level: 'error', data: '{"left":[]}', at: after(-5) }) },
      ],
    })
    const [first, , third] = ids as readonly number[]
    assert.deepEqual((await storage.events.list({ jobId: a, page: FIRST_100 })).items, [
      { id: first, jobId: a, at: NOW, kind: 'event', level: 'info', message: 'one', data: null },
      { id: third, jobId: a, at: after(-5), kind: 'log', level: 'error', message: 'two', data: '{"left":[]}' },
    ])
  })

  test('events are recorded for a job in any state', async ({ storage, submit, start, finish, messages }) => {
    const dead = await finish('dead')
    const running = await start()
    for (const jobId of [dead, running.id, await submit()]) {
      await storage.events.append({ now: NOW, items: [{ jobId, event: event('still here') }] })
      assert.deepEqual(await messages(jobId), ['still here'])
    }
  })

  test('an event of an unknown job, or of a request without one, is not recorded, the others are', async ({
    storage,
    submitAll,
  }) => {
    const [id, jobless] = (await submitAll([{}, { queue: null }])) as [number, number]
    const items = [id, 10_000, jobless, id].map((jobId) => ({ jobId, event: event('said') }))
    const ids = await storage.events.append({ now: NOW, items })
    assert.deepEqual(
      ids.map((given) => given === null),
      [false, true, true, false],
    )
    assert.deepEqual((await storage.events.list({ jobId: 10_000, page: FIRST_100 })).items, [])
    assert.deepEqual((await storage.events.list({ jobId: jobless, page: FIRST_100 })).items, [])
  })

  test('an event’s id is never given again', async ({ storage, submit, remove }) => {
    const append = async (jobId: number): Promise<number> =>
      (await storage.events.append({ now: NOW, items: [{ jobId, event: event('said') }] }))[0]!
    const first = await submit()
    const given = await append(first)
    await remove(first)
    assert.ok((await append(await submit())) > given)
  })

  test('events are listed in pages, either way', async ({ storage, submit }) => {
    const jobId = await submit()
    const ids = await storage.events.append({
      now: NOW,
      items: range(1, 25).map((n) => ({ jobId, event: event(`line ${n}`) })),
    })
    for (const limit of [1, 7, 24, 25, 26]) {
      assert.deepEqual(await idsOf(storage, jobId, limit, 'asc'), ids)
      assert.deepEqual(await idsOf(storage, jobId, limit, 'desc'), ids.toReversed())
    }
  })

  test('what is said while a list is read comes at its end', async ({ storage, submit }) => {
    const jobId = await submit()
    const say = (count: number) =>
      storage.events.append({ now: NOW, items: range(1, count).map((n) => ({ jobId, event: event(`line ${n}`) })) })
    await say(3)
    const first = await storage.events.list({ jobId, page: { limit: 2, order: 'asc', after: null } })
    await say(2)
    const rest = await storage.events.list({ jobId, page: { limit: 10, order: 'asc', after: first.next } })
    assert.deepEqual(
      [...first.items, ...rest.items].map(({ message }) => message),
      ['line 1', 'line 2', 'line 3', 'line 1', 'line 2'],
    )
    assert.equal(rest.next, null)
  })

  test('nothing to say is no error', async ({ storage }) => {
    assert.deepEqual(await storage.events.append({ now: NOW, items: [] }), [])
  })
}

async function idsOf(
  { events: store }: Fixture['storage'],
  jobId: number,
  limit: number,
  order: 'asc' | 'desc',
): Promise<number[]> {
  return (await readAll((page) => store.list({ jobId, page }), { limit, order })).map(({ id }) => id)
}
