import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogEventTail } from '../../../../src/core/log-events/tail.ts'
import { logEvent, range } from '../../../conformance/harness.ts'
import { openCore, replacing } from '../core.ts'

test('Readers at the same place share what was read.', async () => {
  await using core = await openCore()
  let reads = 0
  const ports = core.portsWith(({ logEvents }) => ({
    logEvents: replacing(logEvents, {
      follow(params) {
        reads++
        return logEvents.follow(params)
      },
    }),
  }))
  const tail = await core.run(new LogEventTail(ports))
  const end = await tail.end()
  await core.storage.logEvents.append({ events: [logEvent(), logEvent()] })
  const all = await Promise.all(range(1, 100).map(() => tail.read(end)))
  assert.equal(reads, 1)
  for (const followed of all) assert.equal(followed, all[0])
  await core.storage.logEvents.append({ events: [logEvent()] })
  assert.equal((await tail.read(end))!.events.length, 3)
  assert.equal(reads, 2)
})

test('A reader who waits is woken by the next append, by its own end and by the end of the tail.', async () => {
  await using core = await openCore()
  const tail = new LogEventTail(core.ports)
  await tail.start()
  const { arrivals } = tail
  const leaves = new AbortController()
  const never = new AbortController()
  const waiting = [tail.more(arrivals, never.signal), tail.more(arrivals, leaves.signal)]
  leaves.abort()
  await waiting[1]
  await core.storage.logEvents.append({ events: [logEvent()] })
  await waiting[0]
  assert.notEqual(tail.arrivals, arrivals)
  await tail.more(arrivals, never.signal)
  const last = tail.more(tail.arrivals, never.signal)
  await tail.stop()
  await last
})

test('Where the database does not tell of others’ commits, those who wait look every second.', async () => {
  await using core = await openCore()
  const capabilities = { ...core.storage.capabilities, signals: 'none' } as const
  const ports = core.portsWith(() => ({ capabilities, onLogEvents: () => () => {} }))
  const tail = await core.run(new LogEventTail(ports))
  const { arrivals } = tail
  const woken = tail.more(arrivals, new AbortController().signal)
  await core.clock.advance(1_000_001)
  await woken
  assert.notEqual(tail.arrivals, arrivals)
})
