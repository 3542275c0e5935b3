import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from '../../../../src/core/engine/roster.ts'
import { isOctoflowError } from '../../../../src/errors/octoflow-error.ts'
import { MINUTE, SECOND } from '../../../../src/lib/time.ts'
import { FIRST_100 } from '../../../conformance/harness.ts'
import { ADMIN, openCore } from '../core.ts'

test('A worker counts as long as it was heard of in the last two minutes, and is then forgotten.', async () => {
  await using core = await openCore()
  const roster = await core.run(new Roster(core.ports))
  roster.seen('w', 'q', 'agent/1')
  roster.seen('other', 'r')
  assert.deepEqual(await roster.workersOf('q'), { working: 1, draining: 0 })
  await core.clock.advance(MINUTE)
  roster.seen('w', null)
  await core.clock.advance(MINUTE + SECOND)
  assert.deepEqual(await roster.workersOf('q'), { working: 1, draining: 0 })
  assert.deepEqual(await roster.workersOf('r'), { working: 0, draining: 0 })
  await core.clock.advance(MINUTE + 10 * SECOND)
  assert.deepEqual(await roster.list(FIRST_100, null), { items: [], next: null })
})

test('After a restart the workers are known, with what they were told.', async () => {
  await using core = await openCore()
  const before = new Roster(core.ports)
  await before.start()
  before.seen('w', 'b', 'agent/1')
  before.seen('w', 'a')
  await before.setDraining('w', true, ADMIN)
  await before.stop()
  const roster = await core.run(new Roster(core.ports))
  const { items } = await roster.list(FIRST_100, null)
  const { firstSeenAt: _, lastSeenAt: __, ...worker } = items[0]!
  assert.deepEqual(worker, { id: 'w', queues: ['a', 'b'], draining: true, agent: 'agent/1' })
  assert.equal(roster.seen('w', 'a'), true)
})

test('That a worker is to drain reaches the server it talks to within seconds, whichever server was told.', async () => {
  await using core = await openCore()
  const ports = core.portsWith(({ capabilities }) => ({ capabilities: { ...capabilities, shared: true } }))
  const [told, asked] = [await core.run(new Roster(ports)), await core.run(new Roster(ports))]
  asked.seen('w', 'q')
  await core.clock.advance(6 * SECOND)
  assert.deepEqual(
    (await told.list(FIRST_100, null)).items.map(({ id }) => id),
    ['w'],
  )
  await told.setDraining('w', true, ADMIN)
  await core.clock.advance(6 * SECOND)
  assert.equal(asked.seen('w', 'q'), true)
})

test('A worker that nobody knows cannot be drained.', async () => {
  await using core = await openCore()
  const roster = await core.run(new Roster(core.ports))
  await assert.rejects(roster.setDraining('w', true, ADMIN), (error) => isOctoflowError(error, 'worker_not_found'))
})
