import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Db, type Document, MongoClient } from 'mongodb'
import { DAY } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { apply } from '../../src/storage/drivers/mongodb/changes.ts'
import { Connection } from '../../src/storage/drivers/mongodb/connection.ts'
import { PART_LENGTH } from '../../src/storage/drivers/mongodb/texts.ts'
import { after, logEvent, NOW, newRequest, QUEUE } from '../conformance/harness.ts'
import { Ferretdb } from './ferretdb.ts'
import { freshDatabase, openAt, SKIPPED } from './mongodb-storage.ts'

/** A database, with a client that sees all of it. */
class Site implements AsyncDisposable {
  readonly url: string
  readonly #client: MongoClient
  readonly #opened: Storage[] = []

  private constructor(url: string) {
    this.url = url
    this.#client = new MongoClient(url, { retryWrites: false })
  }

  static make(): Site {
    return new Site(freshDatabase().url)
  }

  get db(): Db {
    return this.#client.db()
  }

  async open(): Promise<Storage> {
    const storage = openAt(this.url)
    this.#opened.push(storage)
    await storage.migrations.migrate({ now: NOW })
    return storage
  }

  collection(name: string) {
    return this.db.collection<Document & { _id: string | number }>(`octoflow_${name}`)
  }

  /** The entry of the last commit. */
  async lastCommit(): Promise<Document & { readonly number: number }> {
    const entries = await this.collection('journal').find({}).sort({ _id: -1 }).toArray()
    const last = entries.find(({ changes }) => changes !== undefined)!
    return { ...last, number: Number.parseInt(String(last._id), 10) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const storage of this.#opened) await storage.close()
    await this.#client.close()
  }
}

const submit = async (storage: Storage): Promise<number> =>
  (await storage.requests.submit({ now: NOW, items: [newRequest()] }))[0]!.id

const followed = async ({ logEvents }: Storage): Promise<string[]> =>
  (await logEvents.follow({ after: null, limit: 10 }))!.events.map(({ id }) => id)

const entry = (number: number): string => String(number).padStart(16, '0')

describe('the journal of the MongoDB driver', { skip: SKIPPED, concurrency: 4 }, () => {
  test('what a crashed server had committed is carried out by the next one', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const id = await submit(storage)
    await storage.close()
    const { number, sequences } = await site.lastCommit()
    const request = await site.collection('requests').findOne({ _id: id })
    await site.collection('journal').insertOne({
      _id: entry(number + 1),
      by: 'a server that crashed',
      token: 'its token',
      sequences: { ...sequences, request: id + 2 },
      changes: JSON.stringify([{ kind: 'insert', table: 'requests', documents: [{ ...request, _id: id + 1 }] }]),
    })
    const next = await site.open()
    assert.equal(await submit(next), id + 2)
    assert.equal((await next.jobs.find({ ids: [id, id + 1, id + 2] })).length, 3)
  })

  test('a turn that a crashed server took keeps the others waiting for seconds only', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const id = await submit(storage)
    const { number } = await site.lastCommit()
    await site.collection('journal').insertOne({ _id: entry(number + 1), by: 'a server that crashed', token: 't', turn: true })
    assert.equal(await submit(storage), id + 1)
    assert.equal(await submit(storage), id + 2)
  })

  test('a late write of a server that was stopped half-way neither takes anything back nor brings it back', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const kept = await submit(storage)
    const deleted = await submit(storage)
    const { number } = await site.lastCommit()
    const documents = (await site.collection('requests').find({}).toArray()).map(({ commit, ...document }) => document)
    await storage.requests.setHandled({ ids: [kept], handled: true })
    await storage.requests.delete({ now: NOW, ids: [deleted] })

    const late = new Connection(site.url)
    await apply(late, number, [
      { kind: 'insert', table: 'requests', documents },
      { kind: 'put', table: 'requests', documents },
      { kind: 'update', table: 'requests', ids: [kept, deleted], fields: { handled: null, stage: 3 } },
    ])
    await late.close()
    assert.deepEqual(
      (await storage.requests.find({ ids: [kept, deleted] })).map(({ id, handled }) => ({ id, handled })),
      [{ id: kept, handled: true }],
    )
    assert.deepEqual(
      (await storage.jobs.find({ ids: [kept, deleted] })).map(({ state }) => state),
      ['pending'],
    )
  })

  test('a late write brings no deleted key back for a day, however long ago the key was made or used', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const key = { id: 'k', name: 'k', role: 'admin', queues: null, createdAt: NOW, createdBy: 'me', expiresAt: null } as const
    await storage.access.create({ key: { ...key, lastUsedAt: null }, hash: 'h' })
    const { number, changes } = await site.lastCommit()
    const deletedAt = NOW + 2 * DAY
    await storage.access.delete({ now: deletedAt, id: 'k' })
    await storage.upkeep.prune({ now: deletedAt + DAY, retention: null, limit: 10 })

    const late = new Connection(site.url)
    await apply(late, number, JSON.parse(changes))
    await late.close()
    assert.equal(await storage.access.findByHash({ hash: 'h' }), null)
    await storage.upkeep.prune({ now: deletedAt + DAY + 1, retention: null, limit: 10 })
    assert.equal(await site.collection('keys').countDocuments(), 0)
  })

  test('a server that was away for long goes on where the others are', async (t) => {
    await using site = Site.make()
    const [away, busy] = [await site.open(), await site.open()]
    const ids = [await submit(away)]
    for (let n = 0; n < 70; n++) ids.push(await submit(busy))
    // What the other server does when the entries are ten seconds old.
    const { number } = await site.lastCommit()
    await site.collection('journal').deleteMany({ _id: { $lt: entry(number - 64) } })
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 60_000 })
    ids.push(await submit(away), await submit(busy), await submit(away))
    assert.equal(new Set(ids).size, 74)
    assert.equal((await away.jobs.find({ ids })).length, 74)
    assert.equal((await away.queues.find({ names: [QUEUE] }))[0]?.counts.ready, 74)
  })

  test('a commit may be carried out twice', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const ids = [await submit(storage), await submit(storage)]
    const { number, changes } = await site.lastCommit()
    const before = await site.collection('requests').find({}).toArray()
    const again = new Connection(site.url)
    await apply(again, number, JSON.parse(changes))
    await again.close()
    assert.deepEqual(await site.collection('requests').find({}).toArray(), before)
    assert.equal((await storage.queues.find({ names: [QUEUE] }))[0]?.counts.ready, ids.length)
  })

  test('a commit larger than a document may be is stored whole', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const body = JSON.stringify('é🐙'.repeat(2 ** 21))
    const items = [newRequest({ body }), newRequest(), newRequest({ body })]
    const ids = (await storage.requests.submit({ now: NOW, items })).map(({ id }) => id)
    const stored = await storage.requests.find({ ids })
    assert.ok(stored.every((request, index) => request.body === items[index]!.body))
    assert.equal(await site.collection('parts').countDocuments(), 0, 'nothing is left of the way there')
  })

  test('log events are followed when all of their commit are in their places', async () => {
    await using site = Site.make()
    const storage = await site.open()
    await storage.logEvents.append({ events: [logEvent({ id: 'a' })] })
    await storage.close()
    const { number, sequences } = await site.lastCommit()
    const template = await site.collection('logEvents').findOne({ _id: 'a' })
    const [b, c] = [
      { ...template, _id: 'b', sequence: 2, commit: number + 1 },
      { ...template, _id: 'c', sequence: 3, commit: number + 1 },
    ]
    await site.collection('logEvents').insertOne(c)
    await site.collection('journal').insertOne({
      _id: entry(number + 1),
      by: 'a server that crashed half-way',
      token: 'its token',
      sequences: { ...sequences, logEvent: 4 },
      changes: JSON.stringify([
        { kind: 'update', table: 'logEventArrivals', ids: ['arrivals'], fields: { sequence: 3 } },
        { kind: 'insert', table: 'logEvents', documents: [b, c] },
      ]),
    })
    const next = await site.open()
    assert.deepEqual(await followed(next), ['a'])
    assert.equal(await next.logEvents.end(), '1')
    const events = [logEvent({ id: 'b' }), logEvent({ id: 'd' })]
    assert.deepEqual(await next.logEvents.append({ events }), [false, true])
    assert.deepEqual(await followed(next), ['a', 'b', 'c', 'd'])
  })

  test('an operation is written when what it did is in its place', async () => {
    await using site = Site.make()
    await site.open()
    const connection = new Connection(site.url)
    const refused = [{ _id: ['is no id'] as unknown as string }]
    await assert.rejects(
      apply(connection, 1, [
        { kind: 'insert', table: 'operations', documents: [{ _id: 1 }] },
        { kind: 'insert', table: 'logEvents', documents: refused },
      ]),
    )
    await connection.close()
    assert.equal(await site.collection('operations').countDocuments(), 0)
  })

  test('a late write brings no deleted log event back, but its id may come again', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const append = () => storage.logEvents.append({ events: [logEvent({ id: 'a' })] })
    const deleteAll = () => storage.logEvents.prune({ now: NOW, type: 'user', before: after(1), limit: 10 })
    await append()
    const { number, changes } = await site.lastCommit()
    assert.equal(await deleteAll(), 1)

    const late = new Connection(site.url)
    await apply(late, number, JSON.parse(changes))
    await late.close()
    assert.deepEqual(await storage.logEvents.find({ ids: ['a'] }), [])
    assert.deepEqual(await storage.logEvents.types(), [])
    assert.deepEqual(await append(), [true])
    assert.deepEqual(await followed(storage), ['a'])
    assert.deepEqual(await storage.logEvents.types(), [{ type: 'user', count: 1 }])

    assert.equal(await deleteAll(), 1)
    const left = () => site.collection('logEvents').countDocuments()
    assert.equal(await left(), 1)
    await storage.upkeep.prune({ now: after(1) + DAY, retention: null, limit: 10 })
    assert.equal(await left(), 0)
  })

  test('a log event larger than a document may be is stored whole, and deleted whole', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const large = logEvent({ id: 'large', document: JSON.stringify('é🐙'.repeat(2 ** 21)) })
    await storage.logEvents.append({ events: [logEvent({ id: 'small' }), large] })
    assert.deepEqual(await storage.logEvents.find({ ids: ['large'] }), [large])
    const parts = () => site.collection('texts').countDocuments()
    assert.ok((await parts()) > 1)
    await storage.logEvents.prune({ now: NOW, type: 'user', before: after(1), limit: 10 })
    assert.equal(await parts(), 0)
  })

  test('a log event is read again when its text is missing, and never given without it', async () => {
    await using site = Site.make()
    const { logEvents } = await site.open()
    await logEvents.append({ events: [logEvent({ id: 'large', document: JSON.stringify('x'.repeat(PART_LENGTH)) })] })
    await site.collection('texts').deleteMany({})
    for (const read of [
      () => logEvents.find({ ids: ['large'] }),
      () => logEvents.list({ filter: {}, order: 'asc', after: 0, limit: 10 }),
      () => logEvents.follow({ after: null, limit: 10 }),
    ])
      await assert.rejects(read, { code: 'storage_corrupt' })
  })

  test('a schema that a later version wrote is refused', async () => {
    await using site = Site.make()
    const storage = await site.open()
    const { latest } = await storage.migrations.status()
    await site.collection('schema').insertOne({ _id: latest + 1, name: 'from the future' })
    await assert.rejects(storage.migrations.migrate({ now: NOW }), { code: 'schema_newer' })
  })

  test('a single node, whose disk holds all there is, is told of at each start', async () => {
    const said: string[] = []
    const storage = openAt(freshDatabase().url, (message) => said.push(message))
    await storage.migrations.migrate({ now: NOW })
    await storage.migrations.migrate({ now: NOW })
    await storage.close()
    assert.equal(said.length, 2)
    assert.match(said[0]!, /single node.*replica set/)
  })

  test('without a server a verb is refused in seconds, and nobody is told that it was served', async () => {
    const server = await Ferretdb.start()
    const storage = openAt(`${server.url}gone`)
    await storage.migrations.migrate({ now: NOW })
    await submit(storage)
    await server[Symbol.asyncDispose]()
    for (const call of [() => submit(storage), () => storage.jobs.find({ ids: [1] }), () => storage.upkeep.check()])
      await assert.rejects(call, ({ code }: { readonly code: string }) =>
        /^storage_(?:unavailable|outcome_unknown)$/.test(code),
      )
    await storage.close()
  })
})
