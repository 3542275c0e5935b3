import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Feed } from '../../../../src/core/feed.ts'
import { Rescue } from '../../../../src/core/maintenance/rescue.ts'
import type { Ports } from '../../../../src/core/ports.ts'
import { OctoflowError } from '../../../../src/errors/octoflow-error.ts'
import { type Duration, HOUR, SECOND } from '../../../../src/lib/time.ts'
import { type Core, openCore, replacing } from '../core.ts'

/** Longer than a server leaves leases alone that has come into touch with the database. */
const GRACE = 13 * SECOND

const watch = (core: Core, ports: Ports = core.ports): Promise<Rescue> => core.run(new Rescue(ports, new Feed(ports)))

/** A database with a clock of its own, which can be stepped, and which can be away. */
function remote(core: Core) {
  const database = { ahead: 0, away: false }
  const ports = core.portsWith(({ upkeep }) => ({
    upkeep: replacing(upkeep, {
      async time() {
        if (database.away) throw new OctoflowError('storage_unavailable')
        return core.clock.now() + database.ahead
      },
    }),
  }))
  return { database, ports }
}

/** Starts a job, whose lease has so long to run. */
const start = (core: Core, lease: Duration) => core.db.start({}, { now: core.clock.now(), lease })

test('A job whose lease has run out is taken back within a second.', async () => {
  await using core = await openCore()
  await watch(core)
  await core.clock.advance(GRACE)
  const { id } = await core.db.start({}, { now: core.clock.now(), lease: 5 * SECOND })
  await core.clock.advance(4 * SECOND)
  assert.equal(await core.db.state(id), 'running')
  await core.clock.advance(2 * SECOND)
  assert.equal(await core.db.state(id), 'pending')
  assert.deepEqual(core.logger.troubles, ['took back jobs whose lease ran out'])
})

test('A server that has just started leaves what it finds for 12 seconds: workers could not reach one.', async () => {
  await using core = await openCore()
  const { id } = await core.db.start({}, { lease: SECOND })
  await core.clock.advance(60 * SECOND)
  await watch(core)
  await core.clock.advance(11 * SECOND)
  assert.equal(await core.db.state(id), 'running')
  await core.clock.advance(3 * SECOND)
  assert.equal(await core.db.state(id), 'pending')
})

test('Any number of lost jobs is taken back at once, not one batch a second.', async () => {
  await using core = await openCore()
  await watch(core)
  await core.clock.advance(GRACE)
  await core.db.submitAll(new Array(1_000).fill({}))
  await core.db.claim({ limit: 1_000, now: core.clock.now(), lease: SECOND })
  await core.clock.advance(3 * SECOND)
  assert.deepEqual(await core.db.counts(), { ready: 1_000 })
})

test('What is started since is taken back at once when its lease runs out.', async () => {
  await using core = await openCore()
  await watch(core)
  await core.clock.advance(SECOND)
  const { id } = await start(core, 2 * SECOND)
  await core.clock.advance(3 * SECOND)
  assert.equal(await core.db.state(id), 'pending')
})

test('After the database was away what was started before is left for 12 seconds: workers could not be heard.', async () => {
  await using core = await openCore()
  const { database, ports } = remote(core)
  await watch(core, ports)
  await core.clock.advance(GRACE)
  const { id } = await start(core, 2 * SECOND)
  database.away = true
  await core.clock.advance(20 * SECOND)
  database.away = false
  await core.clock.advance(11 * SECOND)
  assert.equal(await core.db.state(id), 'running')
  await core.clock.advance(3 * SECOND)
  assert.equal(await core.db.state(id), 'pending')
})

for (const hours of [1, -1])
  test(`While servers may not agree on the time nothing is taken back: the database’s clock was stepped by ${hours} h.`, async () => {
    await using core = await openCore()
    const { database, ports } = remote(core)
    await watch(core, ports)
    await core.clock.advance(GRACE)
    const { id } = await start(core, 2 * SECOND)
    database.ahead = hours * HOUR
    await core.clock.advance(10 * SECOND)
    assert.equal(await core.db.state(id), 'running', 'this server has not noticed')
    database.ahead = 0
    core.clock.step(hours * HOUR)
    await core.clock.advance(11 * SECOND)
    assert.equal(await core.db.state(id), 'running', 'others may not have noticed, or the leases are yet to be moved')
  })
