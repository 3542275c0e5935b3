import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Leadership } from '../../../../src/core/leadership/leadership.ts'
import type { Ports } from '../../../../src/core/ports.ts'
import { SECOND } from '../../../../src/lib/time.ts'
import { type Core, Gate, openCore, replacing } from '../core.ts'

/** The ports of servers that share the database. */
const shared = (core: Core): Ports =>
  core.portsWith(({ capabilities }) => ({ capabilities: { ...capabilities, shared: true } }))

/** A server's leadership and what it was told of its terms. */
function candidate(ports: Ports, holder: string) {
  const leadership = new Leadership(ports, holder)
  const terms: string[] = []
  leadership.subscribe({ onTerm: () => terms.push('begins'), onTermEnd: () => terms.push('ends') })
  return { leadership, terms }
}

test('Where the database is not shared, the server leads from start to stop.', async () => {
  await using core = await openCore()
  const { leadership, terms } = candidate(core.ports, 'a')
  assert.equal(leadership.leader, false)
  await leadership.start()
  assert.equal(leadership.leader, true)
  await core.clock.advance(60 * SECOND)
  await leadership.stop()
  assert.equal(leadership.leader, false)
  assert.deepEqual(terms, ['begins', 'ends'])
  assert.equal(core.clock.timers, 0)
})

test('Of servers that share the database one leads, and when it stops another does within seconds.', async () => {
  await using core = await openCore()
  const ports = shared(core)
  const [a, b] = [candidate(ports, 'a'), candidate(ports, 'b')]
  await core.run(b.leadership).then(() => core.run(a.leadership))
  assert.deepEqual([a.leadership.leader, b.leadership.leader], [false, true])
  await core.clock.advance(60 * SECOND)
  assert.deepEqual([a.terms, b.terms], [[], ['begins']])
  await b.leadership.stop()
  await core.clock.advance(3 * SECOND)
  assert.deepEqual([a.terms, b.terms], [['begins'], ['begins', 'ends']])
})

test('One that cannot reach the database stops leading before another begins.', async () => {
  await using core = await openCore()
  let reachable = true
  const cutOff = core.portsWith(({ capabilities, leader }) => ({
    capabilities: { ...capabilities, shared: true },
    leader: replacing(leader, {
      acquire: (params) => (reachable ? leader.acquire(params) : Promise.reject(new Error('no route to host'))),
    }),
  }))
  const [a, b] = [candidate(cutOff, 'a'), candidate(shared(core), 'b')]
  await core.run(a.leadership)
  await core.run(b.leadership)
  reachable = false
  for (let second = 0; second < 20; second++) {
    await core.clock.advance(SECOND)
    assert.ok(!(a.leadership.leader && b.leadership.leader), `two leaders after ${second} s`)
  }
  assert.deepEqual([a.terms, b.terms], [['begins', 'ends'], ['begins']])
  reachable = true
  await b.leadership.stop()
  await core.clock.advance(3 * SECOND)
  assert.equal(a.leadership.leader, true, 'it contends again')
})

test('One that is stopped while it renews its term gives it up for good.', async () => {
  await using core = await openCore()
  const gate = new Gate()
  let renewals = 0
  const ports = core.portsWith(({ capabilities, leader }) => ({
    capabilities: { ...capabilities, shared: true },
    leader: replacing(leader, {
      async acquire(params) {
        if (renewals++ > 0) await gate.pass()
        return leader.acquire(params)
      },
    }),
  }))
  const { leadership, terms } = candidate(ports, 'a')
  await leadership.start()
  await core.clock.advance(3 * SECOND)
  await gate.reached
  const stopped = leadership.stop()
  gate.open()
  await stopped
  await core.clock.advance(SECOND)
  assert.deepEqual([leadership.leader, terms], [false, ['begins', 'ends']])
  const next = candidate(shared(core), 'b')
  await core.run(next.leadership)
  assert.equal(next.leadership.leader, true, 'another may lead at once')
})
