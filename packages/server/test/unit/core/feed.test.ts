import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Feed, type FeedEvent } from '../../../src/core/feed.ts'
import { MINUTE } from '../../../src/lib/time.ts'
import { range } from '../../conformance/harness.ts'
import { openCore } from './core.ts'

const change = (id: number, queue = 'q'): FeedEvent['job'] => ({ id, queue, state: 'pending' })

const idsOf = (events: readonly FeedEvent[] | null): number[] | null => events?.map(({ job }) => job.id) ?? null

/** A feed and what a watcher of it was told. */
function watch(feed: Feed, scope: readonly string[] | null = null) {
  const told: FeedEvent[] = []
  const end = feed.subscribe(scope, (event) => told.push(event))
  return { told, end }
}

test('Watchers are told what happens in their queues, in order, until they leave.', async () => {
  await using core = await openCore()
  const feed = new Feed(core.ports)
  const all = watch(feed)
  const some = watch(feed, ['b', 'c'])
  feed.publish([change(1, 'a'), change(2, 'b')])
  feed.publish([change(3, 'c')])
  assert.deepEqual(
    [idsOf(all.told), idsOf(some.told)],
    [
      [1, 2, 3],
      [2, 3],
    ],
  )
  all.end()
  feed.publish([change(4, 'b')])
  assert.deepEqual(
    [idsOf(all.told), idsOf(some.told)],
    [
      [1, 2, 3],
      [2, 3, 4],
    ],
  )
})

test('Who comes back is told what came after the last that was seen, as far as it concerns the scope.', async () => {
  await using core = await openCore()
  const feed = new Feed(core.ports)
  const { told, end } = watch(feed)
  feed.publish([change(1)])
  end()
  feed.publish([change(2, 'a'), change(3, 'b')])
  const { id } = told[0]!
  assert.deepEqual(idsOf(feed.since(id, null)), [2, 3])
  assert.deepEqual(idsOf(feed.since(id, ['b'])), [3])
  assert.deepEqual(idsOf(feed.since(feed.since(id, null)!.at(-1)!.id, null)), [])
})

test('Who comes back after what happened was no longer kept is told that something is missing.', async () => {
  await using core = await openCore()
  const feed = new Feed(core.ports)
  const { told, end } = watch(feed)
  feed.publish([change(1)])
  end()
  await core.clock.advance(4 * MINUTE)
  feed.publish([change(2)])
  assert.deepEqual(idsOf(feed.since(told[0]!.id, null)), [2], 'kept for a while without watchers')
  await core.clock.advance(2 * MINUTE)
  feed.publish([change(3)])
  assert.equal(feed.since(told[0]!.id, null), null)
  const again = watch(feed)
  feed.publish([change(4)])
  assert.equal(feed.since(told[0]!.id, null), null, 'nor is it forgotten later that something is missing')
  assert.deepEqual(idsOf(feed.since(again.told[0]!.id, null)), [])
})

test('The last 10,000 events are kept; who has seen none of them is told that something is missing.', async () => {
  await using core = await openCore()
  const feed = new Feed(core.ports)
  const { told } = watch(feed)
  for (const id of range(1, 25_000)) feed.publish([change(id)])
  assert.equal(feed.since(told[0]!.id, null), null)
  assert.deepEqual(idsOf(feed.since(told.at(-10_001)!.id, null)), range(15_001, 25_000))
})

test('An id of another run, or none at all, is not known.', async () => {
  await using core = await openCore()
  const feed = new Feed(core.ports)
  const { told } = watch(feed)
  feed.publish([change(1)])
  await core.clock.advance(1)
  const restarted = new Feed(core.ports)
  for (const id of [
    told[0]!.id,
    '',
    'x',
    '-1',
    `${told[0]!.id}.5`,
    told[0]!.id.replace(/-.*/, '-2'),
    told[0]!.id.replace(/-.*/, '-x'),
  ])
    assert.equal(restarted.since(id, null), null, id)
  assert.equal(feed.since(told[0]!.id.replace(/-.*/, '-2'), null), null, 'one that is yet to come')
})
