import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { residentMemory } from '../crash/support/memory.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { whenDone } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { after, store, user } from './events.ts'
import { Tail } from './tail.ts'

const many = (from: number, count: number, more: object = {}) =>
  Array.from({ length: count }, (_, n) => user(`${from + n}`, { timestamp: after(-n), ...more }))

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
  const [slow] = sockets
  slow!.setEncoding('utf8')
  const parts: string[] = []
  await new Promise<void>((resolve) => {
    slow!.on('data', (part: string) => {
      parts.push(part)
      // The last event may be told in two parts.
      if (`${parts.at(-2)}${part}`.includes('"event_id":"19999"')) resolve()
    })
  })
  const ids = [
    ...parts
      .join('')
      .replaceAll(/\r\n[0-9a-f]+\r\n/g, '')
      .matchAll(/"event_id":"(\d+)"/g),
  ].map(([, id]) => Number(id))
  assert.deepEqual(
    ids,
    Array.from({ length: 10_000 }, (_, n) => 10_000 + n),
  )
})
