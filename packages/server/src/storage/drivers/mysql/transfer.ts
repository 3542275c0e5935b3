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
import { FOLDED } from './upkeep.ts'
import type { Writer } from './writer.ts'

export class MysqlTransfer implements TransferStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  count(): Promise<Readonly<Record<RecordKind, number>>> {
    return this.#db.reading(async (connection) => {
      const counts = await Promise.all(RECORD_KINDS.map(async (kind) => [kind, await RECORD_TABLES[kind].count(connection)]))
      return Object.fromEntries(counts) as Record<RecordKind, number>
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
    return this.#db.reading(progress)
  }

  begin({ source }: { readonly source: string }): Promise<TransferProgress> {
    return this.#writer.write(async (transaction) => {
      const begun = await progress(transaction)
      if (begun?.source === source) return begun
      if (begun !== null) throw new OctoflowError('database_not_empty', { what: `half of a copy of ${begun.source}` })
      for (const kind of RECORD_KINDS)
        if (kind !== 'counters' && (await RECORD_TABLES[kind].count(transaction)) > 0)
          throw new OctoflowError('database_not_empty', { what: `records of the kind "${kind}"` })
      transaction.send(STORE_PROGRESS, SOURCE, source)
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
      if (page.records.length > 0) await RECORD_TABLES[kind].insert(transaction, page.records, now)
      transaction.send(STORE_PROGRESS, kind, page.next)
    })
  }

  finish(): Promise<void> {
    return this.#writer.write((transaction) => {
      transaction.send('DELETE FROM octoflow_counts')
      transaction.send(COUNT_STAGES, FOLDED)
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

const STORE_PROGRESS = 'INSERT INTO octoflow_transfer (kind, next) VALUES (?, ?) ON DUPLICATE KEY UPDATE next = VALUES(next)'

const COUNT_STAGES = `INSERT INTO octoflow_counts (slot, queue_id, ${COUNT_COLUMNS.join(', ')})
  SELECT ?, queue_id, ${COUNT_COLUMNS.map((name) => `SUM(stage = ${Stage[name]})`).join(', ')}
  FROM octoflow_requests WHERE stage IS NOT NULL GROUP BY queue_id`

// All pending jobs with a key were stored as held; the first claims of their queue make ready what may start.
const MAKE_LANES = `INSERT INTO octoflow_lanes (queue_id, concurrency_key, running, ready, held, wake_at)
  SELECT lane_queue, concurrency_key, SUM(stage = ${Stage.running}), 0, SUM(stage = ${Stage.held}), 0 FROM octoflow_requests
  WHERE lane_queue IS NOT NULL GROUP BY lane_queue, concurrency_key`
