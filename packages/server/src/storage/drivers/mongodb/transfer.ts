import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import {
  RECORD_KINDS,
  type RecordKind,
  type RecordPage,
  type TransferProgress,
  type TransferStore,
} from '../../contract/transfer.ts'
import type { Connection } from './connection.ts'
import type { TransferDocument } from './documents.ts'
import type { Transaction } from './transaction.ts'
import { RECORD_COLLECTIONS } from './transfer-collections.ts'
import type { Writer } from './writer.ts'

export class MongoTransfer implements TransferStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  async count(): Promise<Readonly<Record<RecordKind, number>>> {
    const counts: Partial<Record<RecordKind, number>> = {}
    for (const kind of RECORD_KINDS) counts[kind] = await RECORD_COLLECTIONS[kind].count(this.#connection)
    return counts as Record<RecordKind, number>
  }

  /** As a write that writes nothing: what it reads is of one moment, and the counters stand in no collection. */
  read<Kind extends RecordKind>({
    kind,
    after,
    limit,
  }: {
    readonly kind: Kind
    readonly after: string | null
    readonly limit: number
  }): Promise<RecordPage<Kind>> {
    return this.#writer.write((transaction) => RECORD_COLLECTIONS[kind].read(transaction, after, limit))
  }

  async unfinished(): Promise<TransferProgress | null> {
    return toProgress(await this.#connection.find('transfer', { filter: {} }))
  }

  begin({ source }: { readonly source: string }): Promise<TransferProgress> {
    return this.#writer.write(async (transaction) => {
      const begun = toProgress(await documents(transaction))
      if (begun?.source === source) return begun
      if (begun !== null) throw new OctoflowError('database_not_empty', { what: `half of a copy of ${begun.source}` })
      for (const kind of RECORD_KINDS)
        if (kind !== 'counters' && (await RECORD_COLLECTIONS[kind].count(transaction.connection)) > 0)
          throw new OctoflowError('database_not_empty', { what: `records of the kind "${kind}"` })
      transaction.tables.transfer.put({ _id: SOURCE, next: source })
      return { source, next: {} }
    })
  }

  write<Kind extends RecordKind>({
    now,
    kind,
    page,
  }: {
    readonly now: Instant
    readonly kind: Kind
    readonly page: RecordPage<Kind>
  }): Promise<void> {
    return this.#writer.write(async (transaction) => {
      await RECORD_COLLECTIONS[kind].insert(transaction, page.records, now)
      await transaction.tables.transfer.load([kind])
      transaction.tables.transfer.put({ _id: kind, ...(page.next !== null && { next: page.next }) })
    })
  }

  /** What follows from the records was counted as they came. */
  finish(): Promise<void> {
    return this.#writer.write(async (transaction) => {
      for (const { _id } of await documents(transaction)) transaction.tables.transfer.erase(_id)
    })
  }
}

/** Stands among the kinds and has the source's name for its `next`. */
const SOURCE = 'source'

const documents = ({ tables }: Transaction): Promise<TransferDocument[]> =>
  tables.transfer.find({ filter: {}, matches: () => true, sort: { _id: 1 }, compare: () => 0 })

function toProgress(found: readonly TransferDocument[]): TransferProgress | null {
  const next = new Map(found.map((document) => [document._id, document.next ?? null]))
  const source = next.get(SOURCE) ?? null
  next.delete(SOURCE)
  return source === null ? null : { source, next: Object.fromEntries(next) }
}
