import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { residentMemory } from '../crash/support/memory.ts'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { whenDone } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { after, store, system, user } from './events.ts'
import { Tail } from './tail.ts'

const many = (from: number, count: number, more: object = {}) =>
  Array.from({ length: count }, (_, n) => user(`${from + n}`, { timestamp: after(-n), ...more }))

test('New events are told as they are stored, in the order in which they are, and those of before are not.', async (t) => {
  const { client, server } = await startOctoflow(t)
  await store(client, many(0, 20))
  const tail = await Tail.open(t, server.url)
  await store(client, many(20, 50))
  await store(client, [system('last')])
  await tail.until(() => tail.events.length === 51, 'all are told')
  assert.deepEqual(tail.ids, [...many(20, 50).map(({ event_id }) => event_id), 'last'])
  assert.deepEqual(tail.events[0], user('20', { timestamp: after(0) }))
  assert.deepEqual(tail.resets, [])
})

test('The filters of lists hold for the tail, too.', async (t) => {
  const { client, server } = await startOctoflow(t)
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

test('A reader that is cut off ten times while 100,000 events are stored has seen each exactly once.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const COUNT = 100_000
  let tail = await Tail.open(t, server.url)
  const seen: string[] = []
  const storing = Promise.all(
    Array.from({ length: 4 }, async (_, part) => {
      for (let batch = 0; batch < COUNT / 4_000; batch++) await store(client, many(part * (COUNT / 4) + batch * 1_000, 1_000))
    }),
  )
  for (let cut = 1; cut <= 10; cut++) {
    await tail.until(() => seen.length + tail.events.length >= (cut * COUNT) / 11, `it is cut off for the ${cut}th time`)
    tail.close()
    await tail.end()
    seen.push(...tail.ids)
    tail = await Tail.open(t, server.url, { lastId: tail.lastId })
  }
  await storing
  await tail.until(() => seen.length + tail.events.length >= COUNT, 'all are told')
  seen.push(...tail.ids)
  assert.equal(seen.length, COUNT)
  assert.equal(new Set(seen).size, COUNT)
})

test('A reader that takes nothing costs the server no memory, and gets everything later.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const warm = await Tail.open(t, server.url)
  await store(client, many(0, 2_000))
  await warm.until(() => warm.events.length === 2_000, 'the server is warm')
  warm.close()
  const sockets = Array.from({ length: 20 }, () => connect(server.port, '127.0.0.1'))
  whenDone(t, () => {
    for (const socket of sockets) socket.destroy()
  })
  const lines = ['GET /v1/events/stream HTTP/1.1', 'Host: x', `Authorization: Bearer ${KEY}`, '', '']
  await Promise.all(
    sockets.map(async (socket) => {
      socket.write(lines.join('\r\n'))
      await new Promise((resolve) => socket.once('readable', resolve))
    }),
  )
  const before = residentMemory(server.pid)
  const large = { ...user('').event, more: 'y'.repeat(10_000) }
  for (let batch = 0; batch < 200; batch++) await store(client, many(10_000 + batch * 50, 50, { event: large }))
  const grown = residentMemory(server.pid) - before
  // 100 MB for each of 20 readers would be 2 GB.
  assert.ok(grown < 200e6, `grown by ${Math.round(grown / 1e6)} MB`)
  let text = ''
  const [slow] = sockets
  slow!.setEncoding('utf8')
  await new Promise<void>((resolve) => {
    slow!.on('data', (part: string) => {
      text += part
      if (text.includes('"event_id":"19999"') && text.endsWith('\r\n')) resolve()
    })
  })
  const ids = [...text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '').matchAll(/"event_id":"(\d+)"/g)].map(([, id]) => Number(id))
  assert.deepEqual(
    ids,
    Array.from({ length: 10_000 }, (_, n) => 10_000 + n),
  )
})

test('Who comes back with an id that the database does not know is told so, and goes on with what is new.', async (t) => {
  const { client, server } = await startOctoflow(t)
  await store(client, many(0, 5))
  for (const lastId of ['nonsense', '999999', '-1', 'x'.repeat(5_000)]) {
    const tail = await Tail.open(t, server.url, { lastId })
    await tail.until(() => tail.resets.length === 1, 'it is told')
    await store(client, [user(`after ${lastId.length} ${lastId.slice(0, 5)}`)])
    await tail.until(() => tail.events.length === 1, 'the new one is told')
  }
})

test('An id seen before a restart leads on after it.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const tail = await Tail.open(t, server.url)
  await store(client, many(0, 5))
  await tail.until(() => tail.events.length === 5, 'all are told')
  await server.stop()
  await tail.end()
  const again = await startOctoflow(t, { data: server.data })
  await store(again.client, many(5, 5))
  const back = await Tail.open(t, again.server.url, { lastId: tail.lastId })
  await back.until(() => back.events.length === 5, 'the rest is told')
  assert.deepEqual(back.ids, ['5', '6', '7', '8', '9'])
})

test('A tail ends when its key is deleted, and other queries are refused.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const key = await createKey(client, { role: 'viewer' })
  const tail = await Tail.open(t, server.url, { key })
  const [{ id }] = ((await client.get('/api/v1/keys')).json as { items: [{ id: string }] }).items
  await client.delete(`/api/v1/keys/${id}`)
  await tail.end()
  assert.equal((await client.get('/v1/events/stream?since=never')).status, 400)
  assert.equal((await client.get('/v1/events/stream', { key: null })).status, 401)
})
