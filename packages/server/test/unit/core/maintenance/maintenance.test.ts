import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Feed } from '../../../../src/core/feed.ts'
import { Operations } from '../../../../src/core/jobs/operations.ts'
import { Leadership } from '../../../../src/core/leadership/leadership.ts'
import { LogEventRetention } from '../../../../src/core/log-events/retention.ts'
import { Maintenance } from '../../../../src/core/maintenance/maintenance.ts'
import { Rescue } from '../../../../src/core/maintenance/rescue.ts'
import type { Ports } from '../../../../src/core/ports.ts'
import { OctoflowError } from '../../../../src/errors/octoflow-error.ts'
import { type Duration, HOUR, MINUTE, SECOND } from '../../../../src/lib/time.ts'
import type { JobFilter } from '../../../../src/model/job-filter.ts'
import { QUEUE, range } from '../../../conformance/harness.ts'
import { ADMIN, type Core, Gate, openCore, replacing } from '../core.ts'
import { idle } from '../manual-clock.ts'

async function maintain(core: Core, ports: Ports = core.ports, retention: Duration | null = null) {
  const operations = new Operations(ports)
  const leadership = await core.run(new Leadership(ports, 'a'))
  const maintenance = await core.run(
    new Maintenance(
      ports,
      { leadership, operations, feed: new Feed(ports), logEventRetention: new LogEventRetention(ports, new Map(), retention) },
      retention,
    ),
  )
  return { operations, leadership, maintenance }
}

test('What has outlived its retention is deleted, however much it is.', async () => {
  await using core = await openCore()
  await core.db.submitAll(new Array(1_000).fill({}))
  await core.storage.jobs.cancel({ now: core.clock.now(), ids: range(1, 1_000), reason: '', note: '' })
  const kept = await core.db.submit()
  // The manual clock stops at every second's look for lost leases, so the retention is a short one.
  await maintain(core, core.ports, HOUR)
  await core.clock.advance(HOUR - MINUTE)
  assert.deepEqual(await core.db.counts(), { ready: 1, cancelled: 1_000 })
  await core.clock.advance(3 * MINUTE)
  await idle()
  assert.deepEqual(await core.db.counts(), { ready: 1 })
  assert.equal(await core.db.state(kept), 'pending')
})

test('An operation is carried out as soon as it is asked for.', async () => {
  await using core = await openCore()
  const { operations } = await maintain(core)
  const id = await core.db.submit()
  await idle()
  const { id: operation } = await operations.start('cancel', { ids: [id] }, ADMIN)
  await idle()
  assert.equal((await operations.find(operation, null)).state, 'completed')
  assert.equal(await core.db.state(id), 'cancelled')
})

test('A small operation does not wait until a huge one is through.', async () => {
  await using core = await openCore()
  const steps: number[] = []
  const ports = core.portsWith(({ operations }) => ({
    operations: replacing(operations, {
      step(params) {
        steps.push(params.id)
        return operations.step(params)
      },
    }),
  }))
  await core.db.submitAll(new Array(1_000).fill({}))
  const small = await core.db.submit({ queue: 'small' })
  const create = (filter: JobFilter) =>
    core.storage.operations.create({ now: core.clock.now(), action: 'cancel', filter, by: 'a' })
  const huge = await create({ queues: [QUEUE] })
  const others = [await create({ ids: [small] }), await create({ queues: ['none'] })]
  await maintain(core, ports)
  while ((await core.storage.operations.unfinished()).length > 0) await idle()
  assert.deepEqual(steps.slice(0, 4), [huge.id, ...others.map(({ id }) => id), huge.id])
  assert.deepEqual(await core.db.counts(), { cancelled: 1_000 })
})

test('An operation that is asked for while a round is about to find nothing to do is not left lying for a minute.', async () => {
  await using core = await openCore()
  const gate = new Gate()
  const ports = core.portsWith(({ operations }) => ({
    operations: replacing(operations, {
      async unfinished() {
        const found = await operations.unfinished()
        await gate.pass()
        return found
      },
    }),
  }))
  const { operations } = await maintain(core, ports)
  await gate.reached
  const { id } = await operations.start('cancel', {}, ADMIN)
  gate.open()
  await idle()
  assert.equal((await operations.find(id, null)).state, 'completed')
})

test('What fails is logged and tried again.', async () => {
  await using core = await openCore()
  let failures = 3
  const ports = core.portsWith(({ upkeep }) => ({
    upkeep: replacing(upkeep, {
      prune: (params) => (failures-- > 0 ? Promise.reject(new Error('disk full')) : upkeep.prune(params)),
    }),
  }))
  await core.db.finish('completed')
  await maintain(core, ports, SECOND)
  await core.clock.advance(3 * MINUTE)
  assert.deepEqual(await core.db.counts(), {})
  assert.equal(core.logger.troubles.filter((message) => message.startsWith('maintenance failed')).length, 3)
})

test('While the database is away, the log says so once, and once that it is back.', async () => {
  await using core = await openCore()
  let away = true
  const unlessAway = <Result>(verb: () => Promise<Result>): Promise<Result> =>
    away ? Promise.reject(new OctoflowError('storage_unavailable')) : verb()
  const ports = core.portsWith(({ upkeep, operations, leases }) => ({
    upkeep: replacing(upkeep, { prune: (params) => unlessAway(() => upkeep.prune(params)) }),
    operations: replacing(operations, { unfinished: () => unlessAway(() => operations.unfinished()) }),
    leases: replacing(leases, { rescue: (params) => unlessAway(() => leases.rescue(params)) }),
  }))
  await core.run(new Rescue(ports, new Feed(ports)))
  await maintain(core, ports, SECOND)
  await core.clock.advance(2 * MINUTE)
  away = false
  await core.clock.advance(2 * MINUTE)
  const said = core.logger.lines.filter(({ message }) => message.startsWith('the database'))
  assert.deepEqual(
    said.map(({ level, message }) => `${level}: ${message}`),
    [
      'warn: the database cannot be reached; it is tried again until it can',
      'info: the database is reached again, after 2 min 1 s',
    ],
  )
  assert.equal(core.logger.troubles.length, 1)
})

test('A server that loses its lead and takes it again while a round is under way does everything once.', async () => {
  await using core = await openCore()
  const gate = new Gate()
  let rounds = 0
  let atOnce = 0
  const ports = core.portsWith(({ upkeep }) => ({
    upkeep: replacing(upkeep, {
      async prune(params) {
        rounds++
        assert.equal(++atOnce, 1, 'one round at a time')
        if (rounds > 1) await gate.pass()
        const pruned = await upkeep.prune(params)
        atOnce--
        return pruned
      },
    }),
  }))
  const { leadership } = await maintain(core, ports)
  await core.clock.advance(MINUTE)
  await gate.reached
  await leadership.stop()
  await leadership.start()
  gate.open()
  await idle()
  const before = rounds
  await core.clock.advance(10 * MINUTE)
  assert.equal(rounds - before, 10)
})

test('Once it has stopped, nothing is done any more.', async () => {
  await using core = await openCore()
  const { maintenance, operations, leadership } = await maintain(core)
  await maintenance.stop()
  const { id } = await operations.start('cancel', {}, ADMIN)
  await core.clock.advance(10 * MINUTE)
  assert.equal((await operations.find(id, null)).state, 'running')
  await leadership.stop()
  assert.equal(core.clock.timers, 0)
})
