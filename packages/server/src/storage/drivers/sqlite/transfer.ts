import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import {
  RECORD_KINDS,
  type RecordKind,
  type RecordPage,
  type TransferProgress,
  type TransferStore,
} from '../../contract/transfer.ts'
import { Stage } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import type { Transaction } from './transaction.ts'
import { RECORD_TABLES } from './transfer-tables.ts'
import type { Writer } from './writer.ts'

export class SqliteTransfer implements TransferStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  async count(): Promise<Readonly<Record<RecordKind, number>>> {
    const counts = RECORD_KINDS.map((kind) => [kind, RECORD_TABLES[kind].count(this.#db)] as const)
    return Object.fromEntries(counts) as Record<RecordKind, number>
  }

  async read<Kind extends RecordKind>({
    kind,
    after,
    limit,
  }: {
    readonly kind: Kind
    readonly after: string | null
    readonly limit: number
  }): Promise<RecordPage<Kind>> {
    return RECORD_TABLES[kind].read(this.#db, after, limit)
  }

  async unfinished(): Promise<TransferProgress | null> {
    return progress(this.#db)
  }

  begin({ source }: { readonly source: string }): Promise<TransferProgress> {
    return this.#writer.write(({ db }) => {
      const begun = progress(db)
      if (begun?.source === source) return begun
      if (begun !== null) throw new OctoflowError('database_not_empty', { what: `half of a copy of ${begun.source}` })
      const [filled] = RECORD_KINDS.filter((kind) => kind !== 'counters' && RECORD_TABLES[kind].count(db) > 0)
      if (filled !== undefined) throw new OctoflowError('database_not_empty', { what: `records of the kind "${filled}"` })
      db.run('INSERT INTO octoflow_transfer (kind, next) VALUES (?, ?)', SOURCE, source)
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
    return this.#writer.write((transaction) => {
      for (const record of page.records) RECORD_TABLES[kind].insert(transaction, record, now)
      transaction.db.run('INSERT OR REPLACE INTO octoflow_transfer (kind, next) VALUES (?, ?)', kind, page.next)
    })
  }

  finish(): Promise<void> {
    return this.#writer.write(({ db }: Transaction) => {
      db.run(COUNT_STAGES)
      db.run(MAKE_LANES)
      db.run('DELETE FROM octoflow_transfer')
    })
  }
}

/** Stands among the kinds and has the source's name for its `next`. */
const SOURCE = 'source'

function progress(db: Database): TransferProgress | null {
  const rows = new Map(db.rows<[string, string | null]>('SELECT kind, next FROM octoflow_transfer'))
  const source = rows.get(SOURCE)
  if (source === undefined || source === null) return null
  rows.delete(SOURCE)
  return { source, next: Object.fromEntries(rows) }
}

// Each part reads the jobs of all queues once, in the order of an index.
const JOBS_BY_STAGE = ['stage < 3', 'stage = 3', 'stage > 3']
  .map((stages) => `SELECT queue_id, stage, count(*) AS jobs FROM octoflow_requests WHERE ${stages} GROUP BY queue_id, stage`)
  .join(' UNION ALL ')

const COUNT_STAGES = `UPDATE octoflow_queues SET ${Object.keys(Stage)
  .map((name) => `${name} = counted.${name}`)
  .join(', ')}
  FROM (SELECT queue_id, ${Object.entries(Stage)
    .map(([name, stage]) => `ifnull(sum(jobs) FILTER (WHERE stage = ${stage}), 0) AS ${name}`)
    .join(', ')} FROM (${JOBS_BY_STAGE}) GROUP BY queue_id) counted
  WHERE counted.queue_id = octoflow_queues.id`

// All pending jobs with a key were stored as held; the first claims of their queue make ready what may start.
const MAKE_LANES = `INSERT INTO octoflow_lanes (queue_id, key, running, ready, wake_at)
  SELECT queue_id, concurrency_key, sum(stage = ${Stage.running}), 0, 0 FROM octoflow_requests
  WHERE concurrency_key IS NOT NULL AND stage <= 3 GROUP BY queue_id, concurrency_key`
