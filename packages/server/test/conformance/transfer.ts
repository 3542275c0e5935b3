import assert from 'node:assert/strict'
import { copyAll } from '../../src/core/transfer/copy.ts'
import { digestOf } from '../../src/core/transfer/digest.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { RECORD_KINDS, type RecordKind, type RecordPage } from '../../src/storage/contract/transfer.ts'
import {
  after,
  COMPLETED,
  completed,
  event,
  FAILED,
  Fixture,
  followAll,
  type Group,
  logEvent,
  NOW,
  type Open,
  QUEUE,
  range,
  snoozed,
} from './harness.ts'

const SOURCE = 'sqlite:/srv/octoflow.db'

/** Something of each kind, in each of the shapes that it has. @returns a running job with its fence, and a waiting one of its key. */
async function fill(fixture: Fixture) {
  const { storage, submit, submitAll, start, report, cancel, retry, configure, finish } = fixture
  await configure({ keyConcurrency: 2, rateLimit: { limit: 1_000, period: HOUR }, retention: 3 * DAY, maxAttempts: 9 })
  await configure({ paused: true, keyRateLimit: { limit: 100, period: HOUR }, handler: 'mail.ts' }, 'Größe "1"')
  await configure({ keyConcurrency: 1, keyRateLimit: { limit: 3, period: HOUR } }, 'keyed')
  await submit({
    queue: null,
    source: 'capture',
    body: '"no job"',
    headers: { 'x-signature': 'é' },
    sourceIp: '::1',
    url: 'http://a/b',
  })
  await submit({ body: `"${'x'.repeat(100_000)}"`, userAgent: 'curl', contentType: null, method: 'PUT' })
  await submit({ runAt: after(3_600), labels: { tenant: 'a', day: '😀' }, uniqueKey: 'once', timeout: 5 * SECOND })
  await submit({ idempotency: { key: 'a', fingerprint: 'f', expiresAt: after(600) } })
  await report(await start({ queue: 'a' }), completed({ answer: 9_007_199_254_740_993n.toString() }), {
    events: [event('done')],
  })
  const failing = await start({ queue: 'b', backoff: { base: MINUTE, factor: 2, max: HOUR, jitter: 0.1 } })
  await report(failing, FAILED, { events: [event('what it said', { data: '[1.10]', level: 'error', kind: 'log' })] })
  await report(await start({ queue: 'c' }), snoozed(HOUR))
  await finish('dead', { queue: 'd' })
  const again = await finish('completed', { queue: 'e' })
  await retry(again, { payload: '{"again": true}' })
  await cancel(await submit({ queue: 'f' }))
  await storage.requests.setHandled({ ids: [await submit({ queue: 'g' })], handled: true })
  const running = await start({ queue: 'keyed', concurrencyKey: 'k', timeout: HOUR })
  const [waiting] = await submitAll([{ queue: 'keyed', concurrencyKey: 'k' }])
  await submitAll([{ queue: 'keyed', concurrencyKey: 'l' }, { queue: 'keyed' }])
  await storage.leases.heartbeat({
    now: NOW,
    beats: [{ id: running.id, fence: running.fence, lease: MINUTE, progress: { fraction: 0.25, message: null } }],
  })
  await storage.jobs.label({ id: running.id, label: 'Half way' })
  await storage.operations.create({ now: NOW, action: 'cancel', filter: { queues: [QUEUE], states: ['pending'] }, by: 'me' })
  await storage.workers.seen({ workers: [{ id: 'w', at: NOW, queues: ['a', 'b'], agent: null }] })
  await storage.access.create({
    key: {
      id: 'k',
      name: 'ci',
      role: 'worker',
      queues: ['a'],
      createdAt: NOW,
      createdBy: 'me',
      expiresAt: null,
      lastUsedAt: null,
    },
    hash: 'beef',
  })
  await storage.idempotency.begin({ now: NOW, key: 'b', fingerprint: 'f', reservedUntil: after(60) })
  await storage.idempotency.begin({ now: NOW, key: 'c', fingerprint: 'f', reservedUntil: after(60) })
  await storage.idempotency.finish({ key: 'c', status: 201, body: '{"id":1}', expiresAt: after(600) })
  const everything = { username: 'é', email: 'a@b', system_id: '😀', location: 'eu', operation: 'x' }
  const logged = [
    logEvent({ id: 'kept', fields: everything }),
    logEvent({ type: 'system', at: after(-DAY / SECOND), fields: {} }),
  ]
  await storage.logEvents.append({ events: logged })
  await storage.logEvents.advance({ follower: 'rule', from: null, to: (await followAll(storage))[0]!.mark })
  await storage.operations.create({
    now: NOW,
    action: 'delete_log_events',
    filter: { type: 'user', fields: everything },
    by: 'me',
  })
  return { running, waiting: waiting! }
}

const options = { now: () => NOW, source: SOURCE, signal: new AbortController().signal, onProgress: () => {} }

async function digests(storage: Storage) {
  const all = await Promise.all(
    RECORD_KINDS.map(async (kind) => [kind, await digestOf(storage, kind, options.signal, () => {})] as const),
  )
  return Object.fromEntries(all)
}

/** A copy of what `fill` makes, in a database of its own. */
async function copied(source: Fixture, open: Open, use: (copy: Fixture) => Promise<void>): Promise<void> {
  await using opened = await open()
  await opened.storage.migrations.migrate({ now: NOW })
  assert.equal(await copyAll(source.storage, opened.storage, options), true)
  await opened.storage.transfer.finish()
  await use(new Fixture(opened))
}

export const transfer: Group = (test, open) => {
  test('a copy holds what its source holds, to the last field', async (fixture) => {
    await fill(fixture)
    const counts = await fixture.storage.transfer.count()
    for (const kind of RECORD_KINDS) assert.ok(counts[kind] > 0, `there is something of the kind ${kind}`)
    await copied(fixture, open, async ({ storage }) => {
      assert.deepEqual(await digests(storage), await digests(fixture.storage))
      assert.deepEqual(await storage.transfer.count(), counts)
      assert.deepEqual(await readOneByOne(storage), await readOneByOne(fixture.storage))
      assert.equal(await storage.transfer.unfinished(), null)
    })
  })

  test('pages of any size give every record once', async ({ storage, ...fixture }) => {
    await fill({ storage, ...fixture } as Fixture)
    const counts = await storage.transfer.count()
    for (const [kind, ones] of Object.entries(await readOneByOne(storage))) {
      assert.equal(ones.length, counts[kind as RecordKind], kind)
      const { records } = await storage.transfer.read({ kind: kind as RecordKind, after: null, limit: 1_000 })
      assert.deepEqual(ones, records)
    }
  })

  test('pages of large records are short, whatever is large about them', async ({ storage, submit, start, report }) => {
    const large = 'x'.repeat(4_000_000)
    const id = await submit()
    for (const n of range(1, 7)) {
      await storage.events.append({ now: NOW, items: [{ jobId: id, event: event('large', { data: JSON.stringify(large) }) }] })
      const key = String(n)
      await storage.idempotency.begin({ now: NOW, key, fingerprint: 'f', reservedUntil: after(60) })
      await storage.idempotency.finish({ key, status: 200, body: large, expiresAt: after(600) })
      const error = { message: large, code: null, detail: null }
      await report(await start({ queue: 'failing' }), { kind: 'discarded', reason: 'large', error })
    }
    for (const kind of ['event', 'idempotency', 'request'] as const) {
      const lengths: number[] = []
      for (let next: string | null = null, first = true; first || next !== null; first = false) {
        const page: RecordPage<typeof kind> = await storage.transfer.read({ kind, after: next, limit: 500 })
        lengths.push(page.records.length)
        next = page.next
      }
      assert.ok(Math.max(...lengths) <= 6, `${kind}: pages of ${lengths}`)
      assert.equal(
        lengths.reduce((a, b) => a + b, 0),
        (await storage.transfer.count())[kind],
        kind,
      )
    }
  })

  test('work goes on in the copy where it stopped in the source', async (fixture) => {
    const { running, waiting } = await fill(fixture)
    const { nextRequest } = (await fixture.storage.transfer.read({ kind: 'counters', after: null, limit: 1 })).records[0]!
    await copied(fixture, open, async (copy) => {
      const { storage, claimIds, report, tryReport, submit, trySubmit, job, queue, messages } = copy
      for (const { name, counts } of await fixture.storage.queues.find({ names: ['a', 'b', 'c', 'd', 'e', 'f', 'g', QUEUE] }))
        assert.deepEqual((await queue(name)).counts, counts, name)
      assert.deepEqual(await job(running.id), await fixture.job(running.id))
      assert.deepEqual(await storage.jobs.attempts({ id: running.id }), await fixture.storage.jobs.attempts({ id: running.id }))

      // The key's only place is taken, and a third start of the hour is left to it.
      const first = await claimIds({ queue: 'keyed', limit: 10 })
      assert.equal(first.includes(waiting), false)
      assert.equal(first.length, 2)
      assert.equal((await tryReport({ ...running, fence: running.fence - 1 }, COMPLETED)).error?.code, 'lease_lost')
      assert.equal(await report(running, COMPLETED), 'completed')
      assert.deepEqual(await claimIds({ queue: 'keyed', limit: 10 }), [waiting])

      assert.equal(await submit(), nextRequest)
      const [repeated] = await trySubmit([{ idempotency: { key: 'a', fingerprint: 'f', expiresAt: after(600) } }])
      assert.equal(repeated!.outcome, 'repeated')
      const [taken] = await trySubmit([{ uniqueKey: 'once' }])
      assert.equal(taken!.outcome, 'existing')
      const [labelled] = (
        await storage.jobs.list({ filter: { label: 'tenant=a' }, page: { limit: 5, order: 'asc', after: null } })
      ).items
      assert.deepEqual(labelled?.labels, { tenant: 'a', day: '😀' })
      const dead = await storage.requests.list({ filter: { queues: ['b'] }, page: { limit: 5, order: 'asc', after: null } })
      assert.deepEqual(await messages(dead.items[0]!.id), ['what it said'])
    })
  })

  test('log events are found, counted and followed in the copy as in the source', async (fixture) => {
    await fill(fixture)
    const { logEvents: source } = fixture.storage
    await copied(fixture, open, async ({ storage }) => {
      const page = { filter: {}, order: 'asc', after: 0, limit: 10 } as const
      assert.deepEqual((await storage.logEvents.list(page)).events, (await source.list(page)).events)
      assert.deepEqual(await storage.logEvents.types(), await source.types())
      assert.deepEqual(await storage.logEvents.count({ filter: { until: NOW } }), { count: 1, exact: true })
      const mark = await storage.logEvents.mark({ follower: 'rule' })
      assert.deepEqual(
        (await storage.logEvents.follow({ after: mark, limit: 10 }))!.events.map(({ type }) => type),
        ['system'],
      )
      const added = [logEvent({ id: 'kept' }), logEvent({ id: 'new' })]
      assert.deepEqual(await storage.logEvents.append({ events: added }), [false, true])
      assert.equal((await followAll(storage)).at(-1)!.id, 'new')
    })
  })

  test('a copy that was interrupted goes on where it stopped', async (fixture) => {
    await fill(fixture)
    await fixture.submitAll(range(1, 1_200).map(() => ({ queue: 'many' })))
    await using opened = await open()
    await opened.storage.migrations.migrate({ now: NOW })
    const stop = new AbortController()
    const onProgress = (done: number): void => {
      if (done > 600) stop.abort()
    }
    assert.equal(await copyAll(fixture.storage, opened.storage, { ...options, signal: stop.signal, onProgress }), false)
    const progress = await opened.storage.transfer.unfinished()
    assert.equal(progress?.source, SOURCE)
    const ends = await copyAll(fixture.storage, opened.storage, { ...options, onProgress: (done) => assert.ok(done > 600) })
    assert.equal(ends, true)
    await opened.storage.transfer.finish()
    assert.deepEqual(await digests(opened.storage), await digests(fixture.storage))
    assert.equal((await new Fixture(opened).queue('many')).counts.ready, 1_200)
  })

  test('a database that holds anything else is not copied into', async ({ storage, submit, opened }) => {
    await submit()
    await assert.rejects(storage.transfer.begin({ source: SOURCE }), { code: 'database_not_empty' })
    assert.equal(await storage.transfer.unfinished(), null)
    assert.ok(opened)
  })

  test('half of a copy of one database is not filled up with another', async ({ storage }) => {
    await storage.transfer.begin({ source: SOURCE })
    await assert.rejects(storage.transfer.begin({ source: 'sqlite:/srv/other.db' }), { code: 'database_not_empty' })
    assert.deepEqual(await storage.transfer.begin({ source: SOURCE }), { source: SOURCE, next: {} })
  })
}

async function readOneByOne(storage: Storage): Promise<Record<string, readonly unknown[]>> {
  const all: Record<string, unknown[]> = {}
  for (const kind of RECORD_KINDS) {
    const records: unknown[] = []
    for (let next: string | null = null, first = true; first || next !== null; first = false) {
      const page: { readonly records: readonly unknown[]; readonly next: string | null } = await storage.transfer.read({
        kind,
        after: next,
        limit: 1,
      })
      assert.ok(page.records.length <= 1)
      records.push(...page.records)
      next = page.next
    }
    all[kind] = records
  }
  return all
}
