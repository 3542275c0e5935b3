import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClockWatch } from '../../../../src/core/maintenance/clock-watch.ts'
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
  return { step, clock, watch: new ClockWatch({ ...ports, clock }, clock) }
}

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

test('Where servers share the database, leases stay where they are: the others’ clocks have not been stepped.', async () => {
  await using core = await openCore()
  const shifts: number[] = []
  const { step, clock } = steppable(core)
  const ports = core.portsWith(({ capabilities, leases }) => ({
    capabilities: { ...capabilities, shared: true },
    leases: replacing(leases, { shift: async ({ by }) => void shifts.push(by) }),
  }))
  const watch = new ClockWatch({ ...ports, clock }, clock)
  step.ms = 60_000
  await watch.look()
  assert.deepEqual(shifts, [])
  assert.ok(watch.lastStep!.by > 59 * SECOND)
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
