import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import {
  RECORD_KINDS,
  type RecordKind,
  type RecordPage,
  type TransferProgress,
  type TransferStore,
} from '../../contract/transfer.ts'
import { COUNT_COLUMNS } from '../../sql/queue-change.ts'
import { Stage } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'
import type { Database } from './database.ts'
import { RECORD_TABLES } from './transfer-tables.ts'
import type { Writer } from './writer.ts'

export class PostgresTransfer implements TransferStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  count(): Promise<Readonly<Record<RecordKind, number>>> {
    return this.#db.reading(async (connection) => {
      const counts: Partial<Record<RecordKind, number>> = {}
      for (const kind of RECORD_KINDS) counts[kind] = await RECORD_TABLES[kind].count(connection)
      return counts as Record<RecordKind, number>
    })
  }

  read<Kind extends RecordKind>({
    kind,
    after,
    limit,
  }: {
    readonly kind: Kind
    readonly after: string | null
    readonly limit: number
  }): Promise<RecordPage<Kind>> {
    return this.#db.reading((connection) => RECORD_TABLES[kind].read(connection, after, limit))
  }

  unfinished(): Promise<TransferProgress | null> {
    return progress(this.#db)
  }

  begin({ source }: { readonly source: string }): Promise<TransferProgress> {
    return this.#writer.write(async (transaction) => {
      const begun = await progress(transaction)
      if (begun?.source === source) return begun
      if (begun !== null) throw new OctoflowError('database_not_empty', { what: `half of a copy of ${begun.source}` })
      for (const kind of RECORD_KINDS) {
        if (kind === 'counters') continue
        const rows = await transaction.rows(`SELECT 1 FROM ${RECORD_TABLES[kind].table} LIMIT 1`)
        if (rows.length > 0) throw new OctoflowError('database_not_empty', { what: `records of the kind "${kind}"` })
      }
      transaction.send(NOTE, SOURCE, source)
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
      await RECORD_TABLES[kind].insert(transaction, page.records, now)
      transaction.send(NOTE, kind, page.next)
    })
  }

  finish(): Promise<void> {
    return this.#writer.write((transaction) => {
      transaction.send('SET LOCAL statement_timeout = 0')
      transaction.send(COUNT_STAGES)
      transaction.send(MAKE_LANES)
      transaction.send('DELETE FROM octoflow_transfer')
    })
  }
}

/** Stands among the kinds and has the source's name for its `next`. */
const SOURCE = 'source'

async function progress(from: Queryable): Promise<TransferProgress | null> {
  const rows = new Map(await from.rows<[string, string | null]>('SELECT kind, next FROM octoflow_transfer'))
  const source = rows.get(SOURCE)
  if (source === undefined || source === null) return null
  rows.delete(SOURCE)
  return { source, next: Object.fromEntries(rows) }
}

const NOTE = `INSERT INTO octoflow_transfer (kind, next) VALUES ($1, $2) ON CONFLICT (kind) DO UPDATE SET next = excluded.next`

// In a slot to which no connection adds.
const COUNT_STAGES = `INSERT INTO octoflow_counts (queue_id, slot, ${COUNT_COLUMNS.join()})
  SELECT queue_id, -1, ${COUNT_COLUMNS.map((column) => `count(*) FILTER (WHERE stage = ${Stage[column]})`).join()}
    FROM octoflow_requests WHERE stage IS NOT NULL GROUP BY queue_id`

// All pending jobs with a key were stored as held; the first claims of their queue make ready what may start.
const MAKE_LANES = `INSERT INTO octoflow_lanes (queue_id, key, running, ready, held, wake_at)
  SELECT queue_id, concurrency_key, count(*) FILTER (WHERE stage = ${Stage.running}), 0,
         count(*) FILTER (WHERE stage = ${Stage.held}), 0 FROM octoflow_requests
   WHERE concurrency_key IS NOT NULL AND stage <= 3 GROUP BY queue_id, concurrency_key`
