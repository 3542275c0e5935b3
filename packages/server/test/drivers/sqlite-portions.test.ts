import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY } from '../../src/lib/time.ts'
import { Fixture, NOW, range } from '../conformance/harness.ts'
import { openMemory } from './sqlite-storage.ts'

/** SQLite works on the event loop, so that no call may take on all there is to do. */
const LARGEST_PORTION = 3_000

async function openEmpty(): Promise<Fixture & AsyncDisposable> {
  const opened = await openMemory()
  await opened.storage.migrations.migrate({ now: NOW })
  return Object.assign(new Fixture(opened), { [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() })
}

for (const [title, before, after] of [
  ['raised', 1, 20_000],
  ['lowered', 20_000, 1],
] as const) {
  test(`a limit ${title} over a key with 20,000 jobs moves a portion of them with each claim`, async () => {
    await using db = await openEmpty()
    await db.configure({ keyConcurrency: before })
    for (const _ of range(1, 20)) await db.submitAll(range(1, 1_000).map(() => ({ concurrencyKey: 'k' })))
    const counted = async (): Promise<number> => (await db.queue()).counts.held
    let held = await counted()
    await db.configure({ keyConcurrency: after })
    assert.equal(await counted(), held, 'the change itself moves none')
    for (let rounds = 1; ; rounds++) {
      assert.ok(rounds < 100, 'it comes to an end')
      const { nextAt } = await db.claim({ limit: 1 })
      const left = await counted()
      assert.ok(Math.abs(left - held) <= LARGEST_PORTION, `${Math.abs(left - held)} jobs were moved at once`)
      held = left
      if (nextAt === null && left === (after === 1 ? 19_999 : 0)) break
    }
  })
}

test('a sweep visits hundreds of queues in portions', async () => {
  await using db = await openEmpty()
  const ids = await db.submitAll(range(1, 1_000).map((n) => ({ queue: `queue-${n}` })))
  await db.storage.jobs.cancel({ now: NOW, ids, reason: '', note: '' })
  const deleted: number[] = []
  for (let more = true; more; ) {
    const pruned = await db.storage.upkeep.prune({ now: NOW + 2 * DAY, retention: DAY, limit: 10_000 })
    deleted.push(pruned.deleted)
    more = pruned.more
  }
  assert.ok(deleted.length > 1 && Math.max(...deleted) <= 200, `it deleted from ${deleted} queues at once`)
  assert.equal(
    deleted.reduce((sum, count) => sum + count, 0),
    1_000,
  )
})

test('the end of a copy counts the jobs of 500 queues without going through all jobs for each', async () => {
  await using db = await openEmpty()
  for (const _ of range(1, 20)) await db.submitAll(range(1, 1_000).map((n) => ({ queue: `queue-${n % 500}` })))
  const counts = (await db.queue('queue-7')).counts
  const began = performance.now()
  await db.storage.transfer.finish()
  const took = performance.now() - began
  assert.deepEqual((await db.queue('queue-7')).counts, counts)
  assert.ok(took < 1_000, `it took ${took} ms`)
})
