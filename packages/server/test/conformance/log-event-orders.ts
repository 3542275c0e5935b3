import assert from 'node:assert/strict'
import { DAY, HOUR, type Instant, MINUTE, SECOND } from '../../src/lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEvent, type LogEventFilter, matches } from '../../src/model/log-event.ts'
import {
  COUNTED_AT_MOST,
  EXAMINED_AT_MOST,
  type LogEventPage,
  type LogEventPlace,
} from '../../src/storage/contract/log-events.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { after, followAll, type Group, logEvent, NOW, range } from './harness.ts'
import { Random } from './random.ts'

type Order = 'asc' | 'desc'
const ORDERS = ['asc', 'desc'] as const

export const logEventOrders: Group = (test) => {
  test('events are listed in order of time, those of the same time in order of arrival', async ({ storage }) => {
    const times = [after(5), NOW, after(5), after(-5), NOW, after(5)]
    await append(
      storage,
      times.map((at, n) => logEvent({ id: `${n}`, at })),
    )
    assert.deepEqual(await listAll(storage, {}, 'asc', 2), ['3', '1', '4', '0', '2', '5'])
    assert.deepEqual(await listAll(storage, {}, 'desc', 1), ['5', '2', '0', '4', '1', '3'])
  })

  test('pages of any size and beginnings at any depth agree, under any filter', async ({ storage }) => {
    const events = randomEvents(250)
    await append(storage, events)
    for (const filter of FILTERS) {
      for (const order of ORDERS) {
        const expected = sorted(events, order)
          .filter((event) => matches(filter, event))
          .map(({ id }) => id)
        assert.deepEqual(await listAll(storage, filter, order, 7), expected, JSON.stringify([filter, order]))
        for (const skip of [1, 2, 13, expected.length - 1, expected.length, expected.length + 1])
          assert.deepEqual(
            (await list(storage, filter, order, Math.max(0, skip), 5)).events.map(({ id }) => id),
            expected.slice(Math.max(0, skip), Math.max(0, skip) + 5),
            JSON.stringify([filter, order, skip]),
          )
      }
      assert.deepEqual(
        await storage.logEvents.count({ filter }),
        { count: events.filter((event) => matches(filter, event)).length, exact: true },
        JSON.stringify(filter),
      )
    }
  })

  test('counts stay right whatever is deleted', async ({ storage }) => {
    const events = randomEvents(300)
    await append(storage, events)
    const random = new Random(3)
    let left = sorted(events, 'asc')
    for (const _ of range(1, 12)) {
      const before = NOW - random.between(0, 40) * 6 * HOUR
      const type = random.chance(0.5) ? 'user' : 'system'
      const limit = random.between(1, 30)
      const outlived = left.filter((event) => event.type === type && event.at < before).slice(0, limit)
      assert.equal(await storage.logEvents.prune({ now: NOW, type, before, limit }), outlived.length)
      left = left.filter((event) => !outlived.includes(event))
      for (const filter of FILTERS)
        assert.equal((await storage.logEvents.count({ filter })).count, left.filter((event) => matches(filter, event)).length)
      const skipped = (await list(storage, {}, 'asc', 50, 3)).events.map(({ id }) => id)
      assert.deepEqual(
        skipped,
        left.slice(50, 53).map(({ id }) => id),
      )
    }
  })

  test('counts stay right when the roll-ups of several servers are folded', async ({ storage, servers }) => {
    const handles = await servers(3)
    const events = randomEvents(300)
    for (const [n, { logEvents: store }] of handles.entries())
      await store.append({ events: events.filter((_, index) => index % 3 === n) })
    const upkeep = () => storage.upkeep.prune({ now: after(600), retention: null, limit: 100 })
    await upkeep()
    for (const filter of FILTERS)
      assert.equal((await storage.logEvents.count({ filter })).count, events.filter((event) => matches(filter, event)).length)
    for (const type of ['user', 'system']) await handles[1]!.logEvents.prune({ now: NOW, type, before: after(600), limit: 300 })
    await upkeep()
    await append(storage, events.slice(0, 2))
    assert.deepEqual(await storage.logEvents.count({ filter: { until: after(600) } }), { count: 2, exact: true })
    assert.equal((await list(storage, {}, 'asc', 1, 5)).events.length, 1)
  })

  test('a page whose conditions exclude each other ends all the same, and the next one goes on', async ({ storage }) => {
    const rows = 2 * EXAMINED_AT_MOST + 100
    await append(
      storage,
      range(1, rows).map((n) =>
        logEvent({ at: NOW + n, type: n % 2 === 0 ? 'user' : 'system', fields: { location: n % 2 === 0 ? 'eu' : 'us' } }),
      ),
    )
    const filter = { type: 'user', fields: { location: 'us' } }
    const { events, next } = await list(storage, filter, 'asc', 0, 10)
    assert.deepEqual(events, [])
    assert.ok(next !== null, 'not all was looked at')
    assert.deepEqual(await list(storage, filter, 'asc', next, 10), { events: [], next: null })
    assert.deepEqual(await storage.logEvents.count({ filter }), { count: 0, exact: false })
    await assert.rejects(list(storage, filter, 'asc', 1, 10), { code: 'skip_too_far' })
  })

  test('a condition on a field is counted up to a bound', async ({ storage }) => {
    await append(
      storage,
      range(1, COUNTED_AT_MOST + 1).map((n) => logEvent({ at: NOW + n })),
    )
    const filter = { fields: { username: 'ann' } }
    assert.deepEqual(await storage.logEvents.count({ filter }), { count: COUNTED_AT_MOST, exact: false })
    assert.deepEqual(await storage.logEvents.count({ filter: { ...filter, until: NOW + COUNTED_AT_MOST } }), {
      count: COUNTED_AT_MOST - 1,
      exact: true,
    })
    assert.deepEqual(await storage.logEvents.count({ filter: { type: 'user' } }), { count: COUNTED_AT_MOST + 1, exact: true })
  })

  test('a page of large events is short, and the next one goes on', async ({ storage }) => {
    await append(
      storage,
      range(1, 7).map((n) => logEvent({ id: `${n}`, at: NOW + n, document: `"${'x'.repeat(4_000_000)}"` })),
    )
    for (const order of ORDERS) {
      const first = await list(storage, {}, order, 0, 100)
      assert.ok(first.events.length < 7 && first.next !== null, `${first.events.length} events in a page`)
      assert.equal((await listAll(storage, {}, order, 100)).length, 7)
    }
    const followed = await storage.logEvents.follow({ after: null, limit: 100 })
    assert.ok(followed!.events.length < 7)
    assert.equal((await followAll(storage)).length, 7)
  })

  test('what arrives is followed in order of arrival, whatever its time', async ({ storage }) => {
    const { logEvents: store } = storage
    const beginning = await store.end()
    assert.deepEqual(await store.follow({ after: beginning, limit: 10 }), { events: [], mark: beginning })
    await append(
      storage,
      range(1, 25).map((n) => logEvent({ id: `${n}`, at: after(-n) })),
    )
    await append(storage, [logEvent({ id: '3' }), logEvent({ id: '26', at: after(-DAY / SECOND) }), logEvent({ id: '1' })])
    const all = range(1, 26).map(String)
    assert.deepEqual(
      (await followAll(storage)).map(({ id }) => id),
      all,
    )
    assert.deepEqual(
      (await store.follow({ after: beginning, limit: 100 }))!.events.map(({ id }) => id),
      all,
    )
    const { events, mark } = (await store.follow({ after: null, limit: 10 }))!
    assert.equal(events.at(-1)!.mark, mark)
    const [third] = events.slice(2)
    assert.deepEqual(
      (await store.follow({ after: third!.mark, limit: 4 }))!.events.map(({ id }) => id),
      all.slice(3, 7),
    )
    const end = await store.end()
    assert.match(end, /^[\w.-]{1,64}$/)
    assert.deepEqual((await store.follow({ after: end, limit: 10 }))!.events, [])
  })

  test('a mark is never given again, and stays good when its event is gone', async ({ storage }) => {
    const { logEvents: store } = storage
    await append(
      storage,
      range(1, 3).map((n) => logEvent({ id: `${n}` })),
    )
    const end = await store.end()
    await store.prune({ now: NOW, type: 'user', before: after(1), limit: 10 })
    await append(storage, [logEvent({ id: '4' })])
    assert.deepEqual(
      (await store.follow({ after: end, limit: 10 }))!.events.map(({ id }) => id),
      ['4'],
    )
    assert.deepEqual(
      (await followAll(storage)).map(({ id }) => id),
      ['4'],
    )
  })

  test('a mark of another database is known as such', async ({ storage }) => {
    for (const after of ['', 'x', '-1', '99999999999999999999', '9007199254740991', '1e3', ' 1', '😀', 'x'.repeat(10_000)])
      assert.equal(await storage.logEvents.follow({ after, limit: 10 }), null, after.slice(0, 20))
  })

  test('a follower misses nothing and sees nothing twice while several servers append', async ({ storage, servers }) => {
    const handles = await servers(3)
    const batches = range(1, 30).map((batch) => range(1, 20).map((n) => logEvent({ id: `${batch}/${n}`, at: after(-n) })))
    const appended = Promise.all(batches.map((events, n) => handles[n % 3]!.logEvents.append({ events })))
    let done = false
    void appended.finally(() => {
      done = true
    })
    const seen: string[] = []
    let mark: string | null = null
    for (let last = false; !last; ) {
      last = done
      const followed: Awaited<ReturnType<typeof storage.logEvents.follow>> = await handles[1]!.logEvents.follow({
        after: mark,
        limit: 37,
      })
      seen.push(...followed!.events.map(({ id }) => id))
      mark = followed!.mark
      if (followed!.events.length > 0) last = false
      await new Promise(setImmediate)
    }
    await appended
    assert.equal(seen.length, 600)
    assert.equal(new Set(seen).size, 600)
    for (const batch of batches) {
      const inOrder = seen.filter((id) => id.startsWith(batch[0]!.id.replace(/1$/, '')))
      assert.deepEqual(
        inOrder,
        batch.map(({ id }) => id),
      )
    }
  })
}

const append = (storage: Storage, events: readonly LogEvent[]): Promise<unknown> => storage.logEvents.append({ events })

const list = (storage: Storage, filter: LogEventFilter, order: Order, after: LogEventPlace | number, limit: number) =>
  storage.logEvents.list({ filter, order, after, limit })

async function listAll(storage: Storage, filter: LogEventFilter, order: Order, limit: number): Promise<string[]> {
  const ids: string[] = []
  for (let next: LogEventPlace | null | 0 = 0; next !== null; ) {
    const page: LogEventPage = await list(storage, filter, order, next, limit)
    assert.ok(page.events.length <= limit)
    ids.push(...page.events.map(({ id }) => id))
    next = page.next
  }
  return ids
}

function sorted(events: readonly LogEvent[], order: Order): LogEvent[] {
  const ascending = events.toSorted((a, b) => a.at - b.at)
  return order === 'asc' ? ascending : ascending.toReversed()
}

/** Events over ten days with many of the same time, and few values for each field. */
function randomEvents(count: number): LogEvent[] {
  const random = new Random(11)
  return range(1, count).map((n) => {
    const fields = LOG_EVENT_FIELDS.filter(() => random.chance(0.7)).map((field) => [field, `${field} ${random.between(1, 3)}`])
    const at = NOW - random.between(0, 40) * 6 * HOUR + random.between(0, 2) * 30 * SECOND
    return logEvent({ id: `r${n}`, at, type: random.chance(0.6) ? 'user' : 'system', fields: Object.fromEntries(fields) })
  })
}

/** The beginning of a minute, and of a day. */
const minute = (at: Instant): Instant => at - (at % MINUTE)
const day = (at: Instant): Instant => at - (at % DAY)

const FILTERS: readonly LogEventFilter[] = [
  {},
  { type: 'user' },
  { type: 'nothing' },
  { since: NOW - 3 * DAY },
  { until: NOW - 3 * DAY },
  { since: minute(NOW - 3 * DAY), until: minute(NOW - DAY) },
  { since: day(NOW - 5 * DAY), until: day(NOW - DAY), type: 'system' },
  { since: NOW - 7 * DAY + 1, until: NOW - 2 * DAY + 30 * SECOND },
  { since: NOW - DAY, until: NOW - DAY + 30 * SECOND + 1 },
  { since: NOW, until: NOW },
  { since: NOW, until: NOW - DAY },
  { fields: {} },
  { fields: { username: 'username 1' } },
  { fields: { email: 'email 2' }, since: NOW - 5 * DAY },
  { type: 'user', fields: { location: 'location 3' } },
  { fields: { system_id: 'system_id 1', operation: 'operation 2' }, until: NOW - DAY },
  { fields: { system_id: 'nobody' } },
]
