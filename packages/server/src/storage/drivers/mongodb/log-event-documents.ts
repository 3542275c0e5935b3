import type { Instant } from '../../../lib/time.ts'
import { fieldsOf, type LogEvent, type LogEventFields } from '../../../model/log-event.ts'
import type { LogEventRecord } from '../../contract/transfer.ts'
import { LogEventCounts } from '../../sql/log-event-counts.ts'
import type { Change } from './changes.ts'
import type { Connection, Query } from './connection.ts'
import { countId, type LogEventDocument, type Stored } from './documents.ts'
import { oneOf } from './one-of.ts'
import { loadTexts, PART_LENGTH, partIds } from './texts.ts'
import type { Transaction } from './transaction.ts'

/** The part of a document that deleting it takes. */
type Part = Pick<LogEventDocument, '_id' | 'type' | 'at' | 'parts'>

const PART = { type: 1, at: 1, parts: 1 }

/** The one document that says how far events have arrived. */
export const ARRIVALS = 'arrivals'

/**
 * What a transaction does to log events. Their counts and how far they have arrived are written once, at its end.
 *
 * None is kept in memory, as documents of a `Table` are: they are many and may be large, and no later write asks for them.
 */
export class LogEventDocuments {
  readonly #transaction: Transaction
  readonly #counts = new LogEventCounts()
  /** Those that it stores, and `null` for those that it deletes. */
  readonly #changed = new Map<string, LogEventDocument | null>()
  /** Ids of which the database has a document, be it only what is left of a deleted one. */
  readonly #used = new Set<string>()
  readonly #parts: string[] = []
  #deletedAt: Instant | null = null
  #appended = false

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  /** Whether there is something new to be followed. */
  get appended(): boolean {
    return this.#appended
  }

  /** @returns for each whether it was stored. */
  async append(events: readonly LogEvent[]): Promise<boolean[]> {
    const taken = await this.#taken(events.map(({ id }) => id))
    return events.map((event) => {
      if (taken.has(event.id)) return false
      taken.add(event.id)
      this.#appended = true
      this.#store({ ...event, sequence: this.#transaction.sequences.logEvent++ })
      return true
    })
  }

  /** Puts events of another database in, under the sequences that they had there. */
  restore(records: readonly LogEventRecord[]): void {
    for (const record of records) this.#store(record)
  }

  /** @returns how many there were left to be deleted. */
  async remove(sequences: readonly number[], now: Instant): Promise<number> {
    return sequences.length === 0 ? 0 : this.#delete({ filter: { sequence: { $in: sequences } } }, sequences.length, now)
  }

  /** Deletes the oldest of a type. @returns how many. */
  prune(type: string, before: Instant, limit: number, now: Instant): Promise<number> {
    return this.#delete({ filter: { type, at: { $lt: before } }, sort: { at: 1, sequence: 1 } }, limit, now)
  }

  /** Writes what was gathered. */
  async flush(): Promise<void> {
    const { tables, sequences } = this.#transaction
    tables.add(this.#changes())
    tables.drop('texts', '_id', this.#parts)
    await this.#flushCounts()
    if (!this.#appended) return
    await tables.logEventArrivals.load([ARRIVALS])
    tables.logEventArrivals.put({ _id: ARRIVALS, sequence: sequences.logEvent - 1 })
  }

  #changes(): Change[] {
    const stored = [...this.#changed.values()].filter((document) => document !== null)
    const { put = [], insert = [] } = Object.groupBy(stored, ({ _id }) => (this.#used.has(_id) ? 'put' : 'insert'))
    const deleted = [...this.#changed].flatMap(([id, document]) => (document === null ? [id] : []))
    const changes: Change[] = []
    if (insert.length > 0) changes.push({ kind: 'insert', table: 'logEvents', documents: insert })
    if (put.length > 0) changes.push({ kind: 'put', table: 'logEvents', documents: put })
    if (deleted.length > 0)
      changes.push({ kind: 'update', table: 'logEvents', ids: deleted, fields: { ...NOTHING, deletedAt: this.#deletedAt } })
    return changes
  }

  async #flushCounts(): Promise<void> {
    const { logEventCounts } = this.#transaction.tables
    const changes = [...this.#counts.changes()].map(([span, start, type, change]) => {
      return { _id: countId(span, start, type), span, start, type, change }
    })
    await logEventCounts.load(changes.map(({ _id }) => _id))
    for (const { change, ...place } of changes) {
      const events = ((await logEventCounts.get(place._id))?.events ?? 0) + change
      if (events === 0) logEventCounts.delete(place._id, this.#deletedAt!)
      else logEventCounts.put({ ...place, events })
    }
  }

  async #taken(ids: readonly string[]): Promise<Set<string>> {
    const { connection } = this.#transaction
    const unknown = ids.filter((id) => !this.#changed.has(id))
    const query = { filter: oneOf('_id', unknown), projection: { deletedAt: 1 } }
    const found: readonly Stored[] = unknown.length === 0 ? [] : await connection.query('logEvents', query)
    for (const { _id } of found) this.#used.add(String(_id))
    const stored = found.flatMap(({ _id, deletedAt }) => (deletedAt === undefined ? [String(_id)] : []))
    return new Set([...stored, ...ids.filter((id) => (this.#changed.get(id) ?? null) !== null)])
  }

  #store(record: LogEventRecord): void {
    this.#changed.set(record.id, toDocument(record, this.#transaction))
    this.#counts.add(record, 1)
  }

  async #delete(query: Query, limit: number, now: Instant): Promise<number> {
    // So many of those found may have been changed by the transaction.
    const spare = [...this.#changed.keys()].filter((id) => this.#used.has(id)).length
    const found: readonly Part[] = await this.#transaction.connection.find('logEvents', {
      ...query,
      limit: limit + spare,
      projection: PART,
    })
    const deleted = found.filter(({ _id }) => !this.#changed.has(_id)).slice(0, limit)
    for (const part of deleted) {
      this.#used.add(part._id)
      this.#changed.set(part._id, null)
      this.#parts.push(...partIds(part.parts))
      this.#counts.add(part, -1)
    }
    this.#deletedAt = now
    return deleted.length
  }
}

/** All but the id. */
const NOTHING: { readonly [Name in keyof Omit<LogEventDocument, keyof Stored>]-?: null } = {
  sequence: null,
  type: null,
  at: null,
  username: null,
  email: null,
  system_id: null,
  location: null,
  operation: null,
  size: null,
  document: null,
  parts: null,
}

function toDocument({ id, sequence, type, at, fields, document }: LogEventRecord, transaction: Transaction): LogEventDocument {
  const text = transaction.text(document, PART_LENGTH)
  const inPlaces = typeof text === 'string' ? { document: text } : { parts: text }
  return { _id: id, sequence, type, at, ...fields, size: document.length, ...inPlaces }
}

export async function toLogEvents(connection: Connection, documents: readonly LogEventDocument[]): Promise<LogEventRecord[]> {
  const texts = await loadTexts(
    connection,
    documents.map(({ document, parts }) => document ?? parts),
  )
  return documents.map((document, index) => {
    const { _id: id, sequence, type, at } = document
    return { id, sequence, type, at, fields: toFields(document), document: texts[index]! }
  })
}

export const toFields = (document: LogEventDocument): LogEventFields => Object.fromEntries(fieldsOf(document))
