import assert from 'node:assert/strict'
import { createKey } from '../../support/keys.ts'
import { after, store, system, user } from '../events.ts'
import { Tail } from '../tail.ts'
import type { Group } from './harness.ts'

export const following: Group = (test) => {
  test('New events are told as they are stored, in the order in which they are, and those of before are not.', async ({
    t,
    start,
  }) => {
    const { client, server } = await start()
    await store(client, many(0, 20))
    const tail = await Tail.open(t, server.url)
    await store(client, many(20, 50))
    await store(client, [system('last')])
    await tail.until(() => tail.events.length === 51, 'all are told')
    assert.deepEqual(tail.ids, [...many(20, 50).map(({ event_id }) => event_id), 'last'])
    assert.deepEqual(tail.events[0], user('20', { timestamp: after(0) }))
    assert.deepEqual(tail.resets, [])
  })

  test('The filters of lists hold for the tail, too.', async ({ t, start }) => {
    const { client, server } = await start()
    const systems = await Tail.open(t, server.url, { query: `type=system&location=us&since=${after(-10)}` })
    const long = 'x'.repeat(300)
    const users = await Tail.open(t, server.url, { query: `username=${long}` })
    await store(client, [
      user('u1'),
      system('s1'),
      system('s2', { event: { ...system('').event, location: 'us' } }),
      system('s3', { timestamp: after(-11), event: { ...system('').event, location: 'us' } }),
      user('u2', { event: { ...user('').event, username: long } }),
      system('s4', { event: { ...system('').event, location: 'us' } }),
    ])
    await systems.until(() => systems.events.length === 2, 'both are told')
    await users.until(() => users.events.length === 1, 'the user is told')
    assert.deepEqual([systems.ids, users.ids], [['s2', 's4'], ['u2']])
  })

  test('A reader that is cut off ten times while events are stored has seen each exactly once.', async ({
    t,
    start,
    share,
  }) => {
    const { client, server } = await start()
    const CUTS = 10
    const count = share(100_000)
    const ids = Array.from({ length: count }, (_, n) => `${n}`)
    const batch = Math.min(1_000, count / 20)
    const cutOff = Promise.withResolvers<void>()
    let tail = await Tail.open(t, server.url)
    const seen: string[] = []
    let stored = 0
    let next = 0
    const storing = Array.from({ length: 4 }, async () => {
      while (next < count) {
        const from = next
        next += batch
        // So that no cut comes after all is stored.
        if (next === count) await cutOff.promise
        await store(client, many(from, batch))
        stored += batch
      }
    })
    for (let cut = 1; cut <= CUTS; cut++) {
      await tail.until(
        () => seen.length + tail.events.length >= (cut * count) / (CUTS + 1),
        `it is cut off for the ${cut}th time`,
      )
      assert.ok(stored < count, 'the events are still being stored')
      tail.close()
      await tail.end()
      seen.push(...tail.ids)
      tail = await Tail.open(t, server.url, { lastId: tail.lastId })
    }
    cutOff.resolve()
    await Promise.all(storing)
    // What is told twice is told before this.
    await store(client, [user('last')])
    await tail.until(() => tail.events.at(-1)?.event_id === 'last', 'all are told')
    seen.push(...tail.ids)
    assert.deepEqual(seen.toSorted(), [...ids, 'last'].toSorted())
  })

  test('Who comes back with an id that the database does not know is told so, and goes on with what is new.', async ({
    t,
    start,
  }) => {
    const { client, server } = await start()
    await store(client, many(0, 5))
    for (const lastId of ['nonsense', '999999', '-1', 'x'.repeat(5_000)]) {
      const tail = await Tail.open(t, server.url, { lastId })
      await tail.until(() => tail.resets.length === 1, 'it is told')
      await store(client, [user(`after ${lastId.length} ${lastId.slice(0, 5)}`)])
      await tail.until(() => tail.events.length === 1, 'the new one is told')
    }
  })

  test('Who comes back with no id begins with what is new.', async ({ t, start }) => {
    const { client, server } = await start()
    await store(client, many(0, 5))
    const tail = await Tail.open(t, server.url, { lastId: '' })
    await store(client, [user('new')])
    await tail.until(() => tail.events.length > 0, 'the new one is told')
    assert.deepEqual([tail.ids, tail.resets], [['new'], []])
  })

  test('An id seen before a restart leads on after it.', async ({ t, start }) => {
    const { client, server } = await start()
    const tail = await Tail.open(t, server.url)
    await store(client, many(0, 5))
    await tail.until(() => tail.events.length === 5, 'all are told')
    await server.stop()
    await tail.end()
    const again = await start()
    await store(again.client, many(5, 5))
    const back = await Tail.open(t, again.server.url, { lastId: tail.lastId })
    await back.until(() => back.events.length === 5, 'the rest is told')
    assert.deepEqual(back.ids, ['5', '6', '7', '8', '9'])
  })

  test('Of servers that share a database each tells all events, and leads on from what another told.', async ({
    t,
    startTwo,
  }) => {
    const servers = await startTwo()
    if (servers === null) return
    const [{ client, server }, other] = servers
    const tails = [await Tail.open(t, server.url), await Tail.open(t, other.server.url)]
    const batches = Array.from({ length: 20 }, (_, n) => many(n * 25, 25))
    await Promise.all(batches.map((events, n) => store(n % 2 === 0 ? client : other.client, events)))
    const ids = batches.flat().map(({ event_id }) => event_id)
    for (const tail of tails) await tail.until(() => tail.events.length >= ids.length, 'all are told')
    const [first, second] = tails as [Tail, Tail]
    assert.deepEqual(first.ids, second.ids)
    assert.deepEqual(first.ids.toSorted(), ids.toSorted())
    first.close()
    await store(client, [user('meanwhile')])
    const back = await Tail.open(t, other.server.url, { lastId: first.lastId })
    await store(client, [user('last')])
    await back.until(() => back.ids.includes('last'), 'the rest is told')
    assert.deepEqual([back.ids, back.resets], [['meanwhile', 'last'], []])
  })

  test('A tail ends when its key is deleted, and other queries are refused.', async ({ t, start }) => {
    const { client, server } = await start()
    const key = await createKey(client, { role: 'viewer' })
    const tail = await Tail.open(t, server.url, { key })
    const [{ id }] = ((await client.get('/api/v1/keys')).json as { items: [{ id: string }] }).items
    await client.delete(`/api/v1/keys/${id}`)
    await tail.end()
    assert.equal((await client.get('/v1/events/stream?since=never')).status, 400)
    assert.equal((await client.get('/v1/events/stream', { key: null })).status, 401)
  })
}

const many = (from: number, count: number, more: object = {}) =>
  Array.from({ length: count }, (_, n) => user(`${from + n}`, { timestamp: after(-n), ...more }))
