import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from '../../../../src/core/engine/roster.ts'
import { Feed } from '../../../../src/core/feed.ts'
import { Jobs } from '../../../../src/core/jobs/jobs.ts'
import type { TimelineEntry, TimelinePlace } from '../../../../src/core/jobs/timeline.ts'
import { after, COMPLETED, DISCARDED, event, FAILED, range, snoozed } from '../../../conformance/harness.ts'
import { type Core, openCore } from '../core.ts'

const jobsOf = async ({ ports, run }: Core): Promise<Jobs> => new Jobs(ports, await run(new Roster(ports)), new Feed(ports))

/** A whole timeline, read page by page. */
async function read(jobs: Jobs, id: number, limit: number, order: 'asc' | 'desc'): Promise<readonly TimelineEntry[]> {
  const entries: TimelineEntry[] = []
  let place: TimelinePlace | null = null
  do {
    const page = await jobs.timeline(id, { limit, order, after: place }, null)
    assert.ok(
      page.items.length <= limit && (page.items.length === limit || page.next === null),
      'only the last page is not full',
    )
    entries.push(...page.items)
    place = page.next
  } while (place !== null)
  return entries
}

const SAID = range(1, 40).map((n) => ({ at: after(n * 1.5), message: `said ${n}` }))

/** A job with a history: failed, snoozed, died, run again, and things said all along. */
async function live({ db, storage, clock }: Core): Promise<number> {
  const { id, ...first } = await db.start({ maxAttempts: 2, backoff: { base: 0, factor: 1, max: 0, jitter: 0 } })
  const items = SAID.map(({ at, message }) => ({ jobId: id, event: event(message, { at }) }))
  await storage.events.append({ now: clock.now(), items })
  await db.report({ id, ...first }, FAILED, { now: after(10) })
  await db.report(await db.claimOne({ now: after(12) }), snoozed(1), { now: after(20) })
  await db.report(await db.claimOne({ now: after(21) }), DISCARDED, { now: after(30) })
  await db.retry(id, {}, after(65))
  await db.report(await db.claimOne({ now: after(70) }), COMPLETED, { now: after(80) })
  return id
}

test('A timeline is the same read at once and page by page, and from its end.', async () => {
  await using core = await openCore()
  const jobs = await jobsOf(core)
  const id = await live(core)
  const whole = await read(jobs, id, 1_000, 'asc')
  assert.equal(whole.length, 1 + 4 * 2 + SAID.length + 1 + 1)
  assert.deepEqual(
    whole.map(({ at }) => at),
    whole.map(({ at }) => at).toSorted((a, b) => a - b),
  )
  assert.deepEqual([whole[0]!.kind, whole.at(-1)!.kind], ['request', 'finished'])
  for (const limit of [1, 2, 3, 7, 50, 51]) {
    assert.deepEqual(await read(jobs, id, limit, 'asc'), whole, `oldest first, ${limit} at a time`)
    assert.deepEqual(await read(jobs, id, limit, 'desc'), whole.toReversed(), `newest first, ${limit} at a time`)
  }
})

test('A timeline of thousands of events is complete.', async () => {
  await using core = await openCore()
  const jobs = await jobsOf(core)
  const id = await core.db.finish('completed')
  const items = range(1, 2_500).map((n) => ({ jobId: id, event: event(`said ${n}`) }))
  await core.storage.events.append({ now: after(1), items })
  const messages = (await read(jobs, id, 1_000, 'asc')).filter(({ kind }) => kind === 'event').map(({ message }) => message)
  assert.deepEqual(
    messages,
    items.map(({ event: { message } }) => message),
  )
})

test('What was told late stands on its page where it belongs in time, and nothing is told twice or left out.', async () => {
  await using core = await openCore()
  const jobs = await jobsOf(core)
  const id = await live(core)
  const late = [5, 33, 1, 75].map((at) => ({ jobId: id, event: event(`late ${at}`, { at: after(at) }) }))
  await core.storage.events.append({ now: after(90), items: late })
  const whole = await read(jobs, id, 1_000, 'asc')
  assert.deepEqual(
    whole.map(({ at }) => at),
    whole.map(({ at }) => at).toSorted((a, b) => a - b),
  )
  for (const order of ['asc', 'desc'] as const)
    assert.deepEqual(
      (await read(jobs, id, 5, order)).map(({ message }) => message).toSorted(),
      whole.map(({ message }) => message).toSorted(),
    )
})

test('What happens between two pages is on the next one.', async () => {
  await using core = await openCore()
  const { db } = core
  const jobs = await jobsOf(core)
  const held = await db.start()
  const first = await jobs.timeline(held.id, { limit: 2, order: 'asc', after: null }, null)
  assert.deepEqual(
    first.items.map(({ kind }) => kind),
    ['request', 'attempt_started'],
  )
  assert.equal(first.next, null)
  const begun = await jobs.timeline(held.id, { limit: 1, order: 'asc', after: null }, null)
  await db.report(held, COMPLETED, { now: after(5), events: [event('done')] })
  const rest = await jobs.timeline(held.id, { limit: 10, order: 'asc', after: begun.next }, null)
  assert.deepEqual(
    rest.items.map(({ kind }) => kind),
    ['attempt_started', 'event', 'attempt_ended', 'finished'],
  )
})
