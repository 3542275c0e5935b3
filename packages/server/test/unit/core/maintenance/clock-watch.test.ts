import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Leadership } from '../../../../src/core/leadership/leadership.ts'
import { ClockWatch } from '../../../../src/core/maintenance/clock-watch.ts'
import type { Ports } from '../../../../src/core/ports.ts'
import { OctoflowError } from '../../../../src/errors/octoflow-error.ts'
import { SystemClock } from '../../../../src/lib/clock.ts'
import { HOUR, MILLISECOND, SECOND } from '../../../../src/lib/time.ts'
import { type Core, openCore, replacing } from '../core.ts'

/** A time of day that a test sets by hand. */
function steppable(core: Core, shift: (by: number) => void = () => {}) {
  const step = { ms: 0 }
  const clock = new SystemClock(() => performance.timeOrigin + performance.now() + step.ms)
  const ports = core.portsWith(({ leases }) => ({
    leases: replacing(leases, {
      async shift(params) {
        shift(params.by)
        await leases.shift(params)
      },
    }),
  }))
  return { step, clock, watch: watching({ ...ports, clock }, clock) }
}

const watching = (ports: Ports, clock: SystemClock): ClockWatch =>
  new ClockWatch(ports, clock, new Leadership(ports, 'this server'))

/** One of the servers that share a database, whose clock a test sets as well. */
function sharing(core: Core, leads: boolean) {
  const { step, clock, ...rest } = steppable(core)
  const database = { ms: 0, answersAfterMs: 0 }
  const shifts: number[] = []
  const ports = core.portsWith(({ capabilities, leases, upkeep }) => ({
    capabilities: { ...capabilities, shared: true },
    leases: replacing(leases, { shift: async ({ by }) => void shifts.push(by) }),
    upkeep: replacing(upkeep, {
      async time() {
        const read = (performance.timeOrigin + performance.now() + database.ms) * MILLISECOND
        for (const end = performance.now() + database.answersAfterMs; performance.now() < end; );
        return Math.round(read)
      },
    }),
  }))
  const leadership = { leader: leads } as Leadership
  return { ...rest, machine: step, database, shifts, clock, watch: new ClockWatch({ ...ports, clock }, clock, leadership) }
}

/** Whether the engine's time is so many milliseconds ahead of the true one, or nearly. */
const isAhead = (clock: SystemClock, ms: number): boolean =>
  Math.abs(clock.now() / MILLISECOND - performance.timeOrigin - performance.now() - ms) < 100

for (const [direction, sign] of [
  ['forward', 1],
  ['back', -1],
] as const)
  test(`When the time of day is stepped ${direction}, leases move along, and it is told.`, async () => {
    await using core = await openCore()
    const { step, clock, watch } = steppable(core)
    const { id } = await core.db.start({}, { now: clock.now(), lease: 30 * SECOND })
    const { leaseUntil } = await core.db.job(id)
    const before = clock.now()
    step.ms = sign * 3_600_000
    assert.ok(Math.abs(clock.now() - before) < 10 * SECOND, 'the engine’s time goes on as if nothing had happened')
    await watch.look()
    const moved = (await core.db.job(id)).leaseUntil! - leaseUntil!
    assert.ok(Math.abs(moved - sign * HOUR) < SECOND, String(moved))
    assert.ok(Math.abs(clock.now() - before - sign * HOUR) < 10 * SECOND, 'and then follows the time of day')
    assert.ok(Math.abs(watch.lastStep!.by - sign * HOUR) < SECOND)
    assert.match(core.logger.troubles[0]!, new RegExp(`stepped ${direction} by 1 h`))
  })

test('A job is not taken back from its worker by a look for lost ones at the very moment at which the clock steps.', async () => {
  await using core = await openCore()
  const { step, clock, watch } = steppable(core)
  await core.db.start({}, { now: clock.now(), lease: 30 * SECOND })
  for (const hours of [-1, 0, 1]) {
    step.ms = hours * 3_600_000
    const looked = watch.look()
    assert.deepEqual(await core.storage.leases.rescue({ now: clock.now(), limit: 10 }), [])
    await looked
  }
})

test('Small corrections are followed without further ado, and the noise of reading two clocks is none.', async () => {
  await using core = await openCore()
  const shifts: number[] = []
  const { step, clock, watch } = steppable(core, (by) => shifts.push(by))
  step.ms = 200
  await watch.look()
  assert.ok(Math.abs(clock.drift()) < 5 * MILLISECOND, 'the correction is adopted')
  step.ms = 202
  await watch.look()
  assert.ok(clock.drift() > 0, 'noise is not')
  assert.deepEqual([shifts, watch.lastStep, core.logger.troubles], [[], null, []])
})

test('Where servers share the database, its clock is followed from the start, and a machine’s own that is wrong is told.', async () => {
  await using core = await openCore()
  const { machine, database, clock, watch, shifts } = sharing(core, true)
  machine.ms = -3_600_000
  await core.run(watch)
  assert.ok(isAhead(clock, 0))
  assert.ok(Math.abs(watch.skew! - HOUR) < SECOND)
  machine.ms = 7_200_000
  await watch.look()
  assert.ok(isAhead(clock, 0), 'a step of the machine’s clock changes nothing')
  assert.ok(Math.abs(watch.skew! + 2 * HOUR) < SECOND)
  machine.ms = 0
  await watch.look()
  assert.deepEqual([watch.skew, watch.lastStep, shifts], [null, null, []])
  assert.deepEqual(core.logger.troubles, ['The clock of this machine is 1 h behind the database’s.'])
  database.ms = 300
  await watch.look()
  assert.ok(isAhead(clock, 300), 'a small correction of the database’s is followed')
  assert.deepEqual([watch.skew, watch.lastStep, shifts], [null, null, []])
})

for (const leads of [true, false])
  test(`When the clock of a database that servers share is stepped, ${leads ? 'the leader moves the leases' : 'the others leave the leases to the leader'}.`, async () => {
    await using core = await openCore()
    const { database, clock, watch, shifts } = sharing(core, leads)
    await core.run(watch)
    database.ms = 60_000
    await watch.look()
    assert.ok(isAhead(clock, 60_000))
    assert.ok(watch.lastStep!.by > 59 * SECOND)
    assert.deepEqual(
      shifts.map((by) => Math.round(by / SECOND)),
      leads ? [60] : [],
    )
  })

test('What took the database long to answer says nothing of the time.', async () => {
  await using core = await openCore()
  const { database, machine, clock, watch, shifts } = sharing(core, true)
  await core.run(watch)
  machine.ms = 60_000
  database.answersAfterMs = 700
  await watch.look()
  assert.ok(isAhead(clock, 0))
  assert.deepEqual([watch.skew, watch.lastStep, shifts], [null, null, []])
})

test('Leases that could not be moved are moved at the next look.', async () => {
  await using core = await openCore()
  let fails = true
  const { step, clock, watch } = steppable(core, () => {
    if (fails) throw new Error('disk full')
  })
  const { id } = await core.db.start({}, { now: clock.now(), lease: 30 * SECOND })
  const { leaseUntil } = await core.db.job(id)
  step.ms = 3_600_000
  await assert.rejects(watch.look(), /disk full/)
  assert.equal((await core.db.job(id)).leaseUntil, leaseUntil)
  assert.ok(clock.drift() > HOUR - SECOND, 'the step is not forgotten')
  fails = false
  await watch.look()
  assert.ok((await core.db.job(id)).leaseUntil! > leaseUntil! + HOUR - SECOND)
})

test('By the clock of a shared database a server without maintenance learns, too, that the database is back.', async () => {
  await using core = await openCore()
  const { watch } = sharing(core, false)
  const told = (): string[] => core.logger.lines.map(({ message }) => message.replace(/,? after .*/, ''))
  core.ports.outage.explains(new OctoflowError('storage_unavailable'))
  await watch.look()
  assert.deepEqual(told(), ['the database cannot be reached; it is tried again until it can', 'the database is reached again'])
})
