import assert from 'node:assert/strict'
import { DAY, type Instant, MAX_INSTANT, MIN_INSTANT, SECOND } from '../../src/lib/time.ts'
import { LONGEST_TERM, type LogEvent, type LogEventFilter } from '../../src/model/log-event.ts'
import type { Operation } from '../../src/model/operation.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { after, followAll, type Group, logEvent, NOW, range } from './harness.ts'

export const logEvents: Group = (test) => {
  test('events come back as they went in, whatever their fields', async ({ storage }) => {
    const longest = '😀'.repeat(LONGEST_TERM / 2)
    const events: LogEvent[] = [
      logEvent(),
      logEvent({ type: 'system', fields: { system_id: 'id_123', location: 'europe', operation: 'read' } }),
      logEvent({ fields: {} }),
      logEvent({ id: ' É\u0000" ', type: 'Größe', fields: { email: "a'b@c", username: '' } }),
      logEvent({ id: longest, type: longest, fields: { username: longest, email: longest, system_id: longest } }),
      logEvent({ at: MIN_INSTANT, document: '{"n":1.10,"large":12345678901234567890,"\\ud800":"\\u0000"}' }),
      logEvent({ at: MAX_INSTANT, document: `"${'x'.repeat(1_000_000)}"` }),
    ]
    assert.deepEqual(await storage.logEvents.append({ events }), Array(events.length).fill(true))
    const listed = await storage.logEvents.list({ filter: {}, order: 'asc', after: 0, limit: 10 })
    assert.deepEqual(
      listed.events,
      events.toSorted((a, b) => a.at - b.at),
    )
    for (const filter of [{ since: MAX_INSTANT }, { until: MIN_INSTANT + 1 }])
      assert.deepEqual(await storage.logEvents.count({ filter }), { count: 1, exact: true })
    const found = await storage.logEvents.find({ ids: [...events.map(({ id }) => id), 'nothing'] })
    assert.deepEqual(new Map(found.map((event) => [event.id, event])), new Map(events.map((event) => [event.id, event])))
    assert.deepEqual(
      (await followAll(storage)).map(({ mark: _, ...event }) => event),
      events,
    )
  })

  test('an id is stored once, and the first wins', async ({ storage }) => {
    const append = (...events: LogEvent[]) => storage.logEvents.append({ events })
    assert.deepEqual(await append(logEvent({ id: 'a', document: '1' }), logEvent({ id: 'a', document: '2' })), [true, false])
    const others = range(1, 25).map((n) => logEvent({ id: n % 4 === 0 ? 'a' : `b_${n}`, document: '3' }))
    assert.deepEqual(
      await append(...others),
      others.map(({ id }) => id !== 'a'),
    )
    assert.deepEqual(await append(logEvent({ id: 'A' }), logEvent({ id: 'a ' }), logEvent({ id: 'á' })), [true, true, true])
    assert.equal((await storage.logEvents.find({ ids: ['a'] }))[0]!.document, '1')
    assert.deepEqual(await storage.logEvents.types(), [{ type: 'user', count: 1 + 19 + 3 }])
  })

  test('of batches with the same ids at once, on several servers, each id is stored by one', async ({ storage, servers }) => {
    const handles = await servers(3)
    const ids = range(1, 200).map((n) => `same_${n}`)
    const batches = range(0, 11).map((batch) => (batch % 2 === 0 ? ids : ids.toReversed()))
    const stored = await Promise.all(
      batches.map((batch, n) =>
        handles[n % 3]!.logEvents.append({ events: batch.map((id) => logEvent({ id, document: `${n}` })) }),
      ),
    )
    const winners = new Map(
      batches.flatMap((batch, n) => batch.flatMap((id, at) => (stored[n]![at] ? [[id, `${n}`] as const] : []))),
    )
    assert.equal(stored.flat().filter(Boolean).length, ids.length)
    const found = await storage.logEvents.find({ ids })
    assert.deepEqual(new Map(found.map(({ id, document }) => [id, document])), winners)
    assert.deepEqual(await storage.logEvents.count({ filter: {} }), { count: ids.length, exact: true })
  })

  test('types are counted, and forgotten with their last event', async ({ storage }) => {
    const events = [
      ...range(1, 3).map(() => logEvent()),
      logEvent({ type: 'audit' }),
      logEvent({ type: 'Z', at: after(-9_999) }),
    ]
    await storage.logEvents.append({ events })
    const counts = [
      { type: 'Z', count: 1 },
      { type: 'audit', count: 1 },
      { type: 'user', count: 3 },
    ]
    assert.deepEqual(await storage.logEvents.types(), counts)
    assert.equal(await storage.logEvents.prune({ now: NOW, type: 'audit', before: after(1), limit: 10 }), 1)
    assert.deepEqual(await storage.logEvents.types(), [counts[0], counts[2]])
  })

  test('what is from before an instant is pruned, type by type and the oldest first', async ({ storage }) => {
    const events = [
      ...range(1, 5).map((n) => logEvent({ id: `u${n}`, at: after(-n) })),
      logEvent({ type: 'system', at: after(-9) }),
    ]
    await storage.logEvents.append({ events })
    const prune = (before: Instant, limit: number) => storage.logEvents.prune({ now: NOW, type: 'user', before, limit })
    assert.equal(await prune(after(-5), 10), 0)
    assert.equal(await prune(after(-5) + 1, 10), 1)
    assert.equal(await prune(NOW, 2), 2)
    assert.deepEqual((await storage.logEvents.find({ ids: ['u1', 'u2', 'u3', 'u4', 'u5'] })).map(({ id }) => id).sort(), [
      'u1',
      'u2',
    ])
    assert.equal(await prune(NOW, 10), 2)
    assert.equal(await prune(NOW, 10), 0)
    assert.deepEqual(await storage.logEvents.types(), [{ type: 'system', count: 1 }])
    assert.deepEqual(await storage.logEvents.append({ events: [logEvent({ id: 'u1' })] }), [true])
  })

  test('a follower gets on only from where it stands', async ({ storage }) => {
    const { logEvents: store } = storage
    assert.equal(await store.mark({ follower: 'rule' }), null)
    await store.append({ events: [logEvent(), logEvent()] })
    const [first, second] = (await followAll(storage)).map(({ mark }) => mark) as [string, string]
    assert.equal(await store.advance({ follower: 'rule', from: null, to: first }), true)
    assert.equal(await store.advance({ follower: 'rule', from: null, to: second }), false)
    assert.equal(await store.mark({ follower: 'rule' }), first)
    assert.equal(await store.advance({ follower: 'rule', from: first, to: second }), true)
    assert.equal(await store.advance({ follower: 'rule', from: first, to: first }), false)
    assert.equal(await store.advance({ follower: 'other', from: first, to: second }), false)
    assert.deepEqual([await store.mark({ follower: 'rule' }), await store.mark({ follower: 'other' })], [second, null])
  })

  for (const [name, filter, left] of DELETIONS)
    test(`an operation deletes what matches, in portions: ${name}`, async ({ storage }) => {
      const events = range(0, 39).map((n) =>
        logEvent({
          id: `${n}`,
          type: n % 4 === 0 ? 'system' : 'user',
          at: after(-Math.floor(n / 3)),
          fields: { username: `u${n % 2}`, ...(n % 5 === 0 && { operation: 'read' }) },
        }),
      )
      await storage.logEvents.append({ events })
      const { id } = await storage.operations.create({ now: NOW, action: 'delete_log_events', filter, by: 'me' })
      await storage.logEvents.append({ events: events.map((event) => ({ ...event, id: `late ${event.id}` })) })
      const expected = events.filter(({ id }) => left(Number(id))).map((event) => event.id)
      const { state, changed, skipped } = await finish(storage, id)
      assert.deepEqual({ state, changed, skipped }, { state: 'completed', changed: 40 - expected.length, skipped: 0 })
      const rest = (await followAll(storage)).filter((event) => !event.id.startsWith('late'))
      assert.deepEqual(
        rest.map((event) => event.id),
        expected,
      )
      assert.deepEqual(await storage.logEvents.count({ filter: {} }), { count: 40 + expected.length, exact: true })
      assert.deepEqual(await storage.operations.unfinished(), [])
    })

  test('whoever follows is told of every append that stored something', async ({ storage }) => {
    let told = 0
    const end = storage.onLogEvents(() => told++)
    await storage.logEvents.append({ events: [logEvent({ id: 'a' })] })
    assert.ok(told > 0)
    const before = told
    await storage.logEvents.append({ events: [logEvent({ id: 'b' })] })
    assert.ok(told > before)
    end()
    const last = told
    await storage.logEvents.append({ events: [logEvent({ id: 'c' })] })
    assert.equal(told, last)
  })

  test('servers that share a database hear of each other’s appends', async ({ storage, servers }) => {
    if (storage.capabilities.signals === 'none') return
    const told = (await servers(3)).map((server) => new Promise<void>((resolve) => server.onLogEvents(resolve)))
    await storage.logEvents.append({ events: [logEvent()] })
    await Promise.all(told)
  })

  test('events outlive the closing of the database', async ({ storage, opened }) => {
    await storage.logEvents.append({ events: [logEvent({ id: 'a' })] })
    const mark = await storage.logEvents.end()
    if (opened.reopen === undefined) return
    const again = await opened.reopen()
    assert.equal((await again.logEvents.find({ ids: ['a'] })).length, 1)
    assert.equal(await again.logEvents.end(), mark)
  })
}

const DELETIONS: readonly (readonly [name: string, filter: LogEventFilter, left: (n: number) => boolean])[] = [
  ['all', {}, () => false],
  ['of a type', { type: 'system' }, (n) => n % 4 !== 0],
  ['of a field', { fields: { operation: 'read' } }, (n) => n % 5 !== 0],
  ['of a time', { since: after(-10), until: after(-3) }, (n) => n < 12 || n >= 33],
  ['of several conditions', { type: 'user', fields: { username: 'u1', operation: 'read' } }, (n) => n % 10 !== 5],
  ['of none', { type: 'system', since: NOW - DAY, fields: { username: 'u1' } }, () => true],
]

async function finish(storage: Storage, id: number): Promise<Operation> {
  for (let steps = 0; ; steps++) {
    const { operation, moved } = await storage.operations.step({ now: after(1), id, limit: 7, note: '' })
    assert.deepEqual(moved, [])
    if (operation.state !== 'running') return operation
    assert.ok(steps < 100 * SECOND, 'it comes to an end')
  }
}
