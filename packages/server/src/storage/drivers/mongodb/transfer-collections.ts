import { MINUTE } from '../../../lib/time.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import type { RecordKind, RecordPage, Records } from '../../contract/transfer.ts'
import { Stage } from '../../sql/stages.ts'
import { ofKey, toKey } from './access.ts'
import { type Connection, EXISTING } from './connection.ts'
import { type CollectionName, type Collections, statsId } from './documents.ts'
import { ofEvent, toEvents } from './events.ts'
import { ARRIVALS } from './log-event-documents.ts'
import { ofOperation, toOperation } from './operations.ts'
import type { Transaction } from './transaction.ts'
import { logEvents } from './transfer-log-events.ts'
import { requests } from './transfer-requests.ts'
import { usage } from './transfer-usage.ts'
import { ofWorker, toWorker } from './workers.ts'

/** The records of one kind, as this database holds them. */
export interface RecordCollection<Kind extends RecordKind> {
  count(connection: Connection): Promise<number>
  read(transaction: Transaction, after: string | null, limit: number): Promise<RecordPage<Kind>>
  insert(transaction: Transaction, records: readonly Records[Kind][], now: number): Promise<void>
}

/** A collection that has a document for each record. */
interface Layout<Kind extends RecordKind, Name extends Exclude<CollectionName, 'logEvents'>> {
  readonly name: Name
  /** In characters, of documents that may be large. */
  readonly sizeOf?: (document: Collections[Name]) => number
  toRecords(documents: readonly Collections[Name][], connection: Connection): Promise<Records[Kind][]> | Records[Kind][]
  toDocument(record: Records[Kind], transaction: Transaction): Collections[Name]
}

function inDocuments<Kind extends RecordKind, Name extends Exclude<CollectionName, 'logEvents'>>({
  name,
  sizeOf = () => 0,
  toRecords,
  toDocument,
}: Layout<Kind, Name>): RecordCollection<Kind> {
  return {
    count: (connection) => connection.count(name),
    async read({ connection }, after, limit) {
      const beyond = after === null ? {} : { _id: { $gt: JSON.parse(after) as string | number } }
      const query = { filter: { ...EXISTING, ...beyond }, sort: { _id: 1 }, limit } as const
      const documents = await connection.take(name, query, sizeOf, CHARACTERS_AT_ONCE)
      const size = documents.reduce((sum, document) => sum + sizeOf(document), 0)
      const isCut = documents.length === limit || size >= CHARACTERS_AT_ONCE
      return { records: await toRecords(documents, connection), next: isCut ? JSON.stringify(documents.at(-1)!._id) : null }
    },
    async insert(transaction, records) {
      const table = transaction.tables[name]
      for (const record of records)
        (table.put as (document: Collections[Name]) => void).call(table, toDocument(record, transaction))
    },
  }
}

const counters: RecordCollection<'counters'> = {
  count: async () => 1,
  async read({ sequences }) {
    const { request, receivedAt, event, operation, logEvent } = sequences
    const record = {
      nextRequest: request,
      lastReceivedAt: receivedAt,
      nextEvent: event,
      nextOperation: operation,
      nextLogEvent: logEvent,
    }
    return { records: [record], next: null }
  },
  async insert({ sequences, tables }, records) {
    for (const { nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent } of records) {
      Object.assign(sequences, {
        request: nextRequest,
        receivedAt: lastReceivedAt,
        event: nextEvent,
        operation: nextOperation,
        logEvent: nextLogEvent,
      })
      tables.logEventArrivals.put({ _id: ARRIVALS, sequence: nextLogEvent - 1 })
    }
  },
}

const queues = inDocuments<'queue', 'queues'>({
  name: 'queues',
  toRecords: (documents) =>
    documents.map(({ _id: name, createdAt, version, settings }) => ({ name, createdAt, version, ...settings })),
  toDocument: ({ name, createdAt, version, ...settings }) => ({
    _id: name,
    createdAt,
    version,
    settings,
    counts: Object.values(Stage).map(() => 0),
  }),
})

const events = inDocuments<'event', 'events'>({
  name: 'events',
  sizeOf: ({ message, data }) => message.length + (data?.length ?? 0),
  toRecords: (documents, connection) => toEvents(connection, documents),
  toDocument: (event, transaction) => ofEvent(transaction, event),
})

const operations = inDocuments<'operation', 'operations'>({
  name: 'operations',
  toRecords: (documents) =>
    documents.map((document) => {
      const { position, sequence = 0, upto } = document
      return { ...toOperation(document), position, sequence, upto }
    }),
  toDocument: ofOperation,
})

const workers = inDocuments<'worker', 'workers'>({
  name: 'workers',
  toRecords: (documents) => documents.map(toWorker),
  toDocument: ofWorker,
})

const keys = inDocuments<'key', 'keys'>({
  name: 'keys',
  toRecords: (documents) => documents.map((document) => ({ ...toKey(document), hash: document.hash })),
  toDocument: ofKey,
})

const idempotency = inDocuments<'idempotency', 'idempotency'>({
  name: 'idempotency',
  sizeOf: ({ answer }) => answer?.body.length ?? 0,
  toRecords: (documents) =>
    documents.map(({ _id: key, fingerprint = null, request, answer = null, expiresAt }) => ({
      key,
      fingerprint,
      submitted: request ?? null,
      answer,
      expiresAt,
    })),
  toDocument: ({ key, fingerprint, submitted, answer, expiresAt }) => ({
    _id: key,
    ...(fingerprint !== null && { fingerprint }),
    ...(submitted !== null && { request: submitted }),
    ...(answer !== null && { answer }),
    expiresAt,
  }),
})

const stats = inDocuments<'stats', 'stats'>({
  name: 'stats',
  toRecords: (documents) =>
    documents.map(({ _id, commit, deletedAt, span, start, ...record }) => ({
      ...record,
      span: span * MINUTE,
      at: start * MINUTE,
    })),
  toDocument: ({ queue, span, at, ...sums }) => {
    const place = { span: span / MINUTE, start: at / MINUTE }
    return { _id: statsId(queue, place.span, place.start), queue, ...place, ...sums }
  },
})

const followers = inDocuments<'follower', 'logEventFollowers'>({
  name: 'logEventFollowers',
  toRecords: (documents) => documents.map(({ _id: name, sequence }) => ({ name, sequence })),
  toDocument: ({ name, sequence }) => ({ _id: name, sequence }),
})

export const RECORD_COLLECTIONS: { readonly [Kind in RecordKind]: RecordCollection<Kind> } = {
  counters,
  queue: queues,
  request: requests,
  event: events,
  operation: operations,
  worker: workers,
  key: keys,
  idempotency,
  usage,
  stats,
  logEvent: logEvents,
  follower: followers,
}
