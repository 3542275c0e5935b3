import assert from 'node:assert/strict'
import { test as declare } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type ClaimWish, Dispatcher } from '../../../../src/core/engine/dispatcher.ts'
import { HOUR, MINUTE, SECOND } from '../../../../src/lib/time.ts'
import type { ClaimedJob } from '../../../../src/storage/contract/leases.ts'
import { after, LEASE, QUEUE, RELEASED, range } from '../../../conformance/harness.ts'
import { Random } from '../../../conformance/random.ts'
import { Gate, openCore, replacing } from '../core.ts'
import { idle } from '../manual-clock.ts'

/** A claim that is never answered fails its test and not the run. */
const test = (name: string, body: () => Promise<void>): void => void declare(name, { timeout: 30_000 }, body)

const wish = (more: Partial<ClaimWish> = {}): ClaimWish => ({
  queue: QUEUE,
  worker: 'w',
  limit: 1,
  lease: LEASE,
  wait: HOUR,
  ...more,
})

const idsOf = (jobs: readonly ClaimedJob[]): number[] => jobs.map(({ id }) => id)

test('One who does not wait is answered at once.', async () => {
  await using core = await openCore()
  const dispatcher = await core.run(new Dispatcher(core.ports))
  assert.deepEqual(await dispatcher.claim(wish({ wait: 0 })), [])
  const id = await core.db.submit()
  assert.deepEqual(idsOf(await dispatcher.claim(wish({ wait: 0 }))), [id])
  assert.equal(core.clock.timers, 0)
})

test('One who waits gets the job that is submitted meanwhile, without the clock moving.', async () => {
  await using core = await openCore()
  const dispatcher = await core.run(new Dispatcher(core.ports))
  const waiting = dispatcher.claim(wish())
  await idle()
  const id = await core.db.submit()
  assert.deepEqual(idsOf(await waiting), [id])
  assert.equal(core.clock.timers, 0, 'nothing is left behind')
})

test('A job that comes while a claim that found none is under way is not overlooked.', async () => {
  await using core = await openCore()
  const gate = new Gate()
  const ports = core.portsWith(({ leases }) => ({
    leases: replacing(leases, {
      async claim(params) {
        const claim = await leases.claim(params)
        await gate.pass()
        return claim
      },
    }),
  }))
  const dispatcher = await core.run(new Dispatcher(ports))
  const waiting = dispatcher.claim(wish())
  await gate.reached
  const id = await core.db.submit()
  gate.open()
  assert.deepEqual(idsOf(await waiting), [id])
})

test('Jobs go to those who wait in the order in which they came.', async () => {
  await using core = await openCore()
  const dispatcher = await core.run(new Dispatcher(core.ports))
  const order: string[] = []
  const waiting = ['a', 'b', 'c'].map(async (worker) => {
    await dispatcher.claim(wish({ worker }))
    order.push(worker)
  })
  await idle()
  for (let n = 0; n < 3; n++) {
    await core.db.submit()
    await idle()
  }
  await Promise.all(waiting)
  assert.deepEqual(order, ['a', 'b', 'c'])
})

test('A job wakes those who wait for its queue, and nobody else.', async () => {
  await using core = await openCore()
  let claims = 0
  const ports = core.portsWith(({ leases }) => ({
    leases: replacing(leases, {
      claim(params) {
        if (params.queue === 'other') claims++
        return leases.claim(params)
      },
    }),
  }))
  const dispatcher = await core.run(new Dispatcher(ports))
  const waiting = dispatcher.claim(wish({ queue: 'other' }))
  await idle()
  const before = claims
  for (let n = 0; n < 10; n++) await core.db.submit()
  await idle()
  assert.equal(claims, before)
  await core.db.submit({ queue: 'other' })
  assert.equal((await waiting).length, 1)
})

test('A job that is due later is given out at its time: to one who waits, or to as many as there are jobs.', async () => {
  await using core = await openCore()
  const dispatcher = await core.run(new Dispatcher(core.ports))
  await core.db.submitAll(range(1, 5).map(() => ({ runAt: after(60) })))
  const taken: number[] = []
  const waiting = range(1, 5).map(async () => {
    taken.push(...idsOf(await dispatcher.claim(wish())))
  })
  await core.clock.advance(MINUTE - 1)
  assert.deepEqual(taken, [])
  await core.clock.advance(1)
  await Promise.all(waiting)
  assert.deepEqual(
    taken.sort((a, b) => a - b),
    range(1, 5),
  )
})

test('The wait ends when it is over, when the client goes away, and when the dispatcher stops.', async () => {
  await using core = await openCore()
  const dispatcher = await core.run(new Dispatcher(core.ports))
  const patient = dispatcher.claim(wish({ wait: 10 * SECOND }))
  await core.clock.advance(10 * SECOND)
  assert.deepEqual(await patient, [])
  const control = new AbortController()
  const gone = dispatcher.claim(wish({ signal: control.signal }))
  await idle()
  control.abort()
  assert.deepEqual(await gone, [])
  const many = range(1, 20).map(() => dispatcher.claim(wish()))
  await idle()
  await dispatcher.stop()
  for (const claim of many) assert.deepEqual(await claim, [])
  assert.deepEqual(await dispatcher.claim(wish()), [], 'one who comes too late does not wait')
  assert.equal(core.clock.timers, 0)
})

test('One who goes away takes the wake-up of no other with it.', async () => {
  await using core = await openCore()
  const dispatcher = await core.run(new Dispatcher(core.ports))
  for (let round = 0; round < 50; round++) {
    const control = new AbortController()
    const gone = dispatcher.claim(wish({ signal: control.signal }))
    const stays = dispatcher.claim(wish())
    await idle()
    const submitted = core.db.submit()
    if (round % 2 === 0) await turn()
    control.abort()
    const [id, left] = await Promise.all([submitted, gone])
    // Whoever left either took the job with it, which is given back, or left it to the other.
    for (const job of left)
      await core.storage.leases.report({
        now: after(0),
        reports: [{ id: job.id, fence: job.fence, outcome: RELEASED, finishedAt: null, events: [] }],
      })
    assert.deepEqual(idsOf(await stays), [id])
  }
})

test('Where no signal tells of others’ commits, it looks every second.', async () => {
  await using core = await openCore()
  const ports = core.portsWith(({ capabilities }) => ({
    capabilities: { ...capabilities, signals: 'none' },
    onReady: () => () => {},
  }))
  const dispatcher = await core.run(new Dispatcher(ports))
  const waiting = dispatcher.claim(wish())
  await idle()
  const id = await core.db.submit()
  await core.clock.advance(SECOND)
  assert.deepEqual(idsOf(await waiting), [id])
})

for (const seed of range(1, 10))
  test(`No wake-up is lost, whatever the order in which jobs and workers come (seed ${seed}).`, async () => {
    await using core = await openCore()
    const random = new Random(seed)
    const dispatcher = await core.run(new Dispatcher(core.ports))
    const count = 300
    const taken = new Set<number>()
    const control = new AbortController()
    const work = async (worker: string): Promise<void> => {
      while (!control.signal.aborted) {
        const jobs = await dispatcher.claim(wish({ worker, limit: random.between(1, 4), signal: control.signal }))
        for (const { id, fence } of jobs) {
          assert.ok(!taken.has(id), 'no job is given out twice')
          taken.add(id)
          const outcome = { kind: 'completed', result: null, handled: false } as const
          await core.storage.leases.report({
            now: after(0),
            reports: [{ id, fence, outcome, finishedAt: null, events: [] }],
          })
        }
        for (let turns = random.between(0, 2); turns > 0; turns--) await turn()
      }
    }
    await core.db.configure({ concurrency: random.between(2, 6) })
    const workers = range(1, 8).map((n) => work(`w${n}`))
    for (let sent = 0; sent < count; ) {
      const size = Math.min(random.between(1, 5), count - sent)
      await core.db.submitAll(new Array(size).fill({}))
      sent += size
      for (let turns = random.between(0, 6); turns > 0; turns--) await turn()
    }
    for (let turns = 0; taken.size < count && turns < 5_000; turns++) await turn()
    assert.equal(taken.size, count, 'all jobs are taken although the clock stands')
    control.abort()
    await Promise.all(workers)
  })

test('Those who wait get what became due by a step of the clock, and what is due soon after it in good time.', async () => {
  await using core = await openCore()
  const dispatcher = await core.run(new Dispatcher(core.ports))
  const ids = [await core.db.submit({ runAt: after(1_800) }), await core.db.submit({ runAt: after(3_660) })]
  const first = dispatcher.claim(wish())
  const second = dispatcher.claim(wish())
  await idle()
  core.clock.step(HOUR)
  await core.storage.leases.shift({ by: HOUR })
  assert.deepEqual(idsOf(await first), [ids[0]])
  await core.clock.advance(MINUTE)
  assert.deepEqual(idsOf(await second), [ids[1]])
})
