import type { Duration, Instant } from '../../../lib/time.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { foldBefore, type Pruned, type PruningVerbs, prune, type SweepPosition, type SweptRecord } from '../../sql/upkeep.ts'
import type { Database } from './database.ts'
import { firstIdAt } from './listing.ts'
import { foldLogEventCounts } from './log-event-roll-ups.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

export class PostgresUpkeep implements UpkeepStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  prune(params: Parameters<UpkeepStore['prune']>[0]): Promise<Pruned> {
    return this.#db.underWay(async () => {
      const pruned = await prune(this.#writer, params, VERBS)
      await this.#writer.transact((transaction) => {
        const past = foldBefore(params.now)
        transaction.send(FOLD, past)
        foldLogEventCounts(transaction, past)
      })
      return pruned
    })
  }

  async check(): Promise<void> {
    // Writes for real, so that a full disk or a standby is found out.
    await this.#writer.write((transaction) => transaction.send('UPDATE octoflow_probe SET one = true'), { repeatable: true })
  }

  async time(): Promise<Instant> {
    const [row] = await this.#db.rows<[number]>(SELECT_TIME)
    return row![0]
  }

  async size(): Promise<StorageSize> {
    const [row] = await this.#db.rows<[number]>(SUM_SIZES)
    // The write-ahead log is that of all databases of the server.
    return { bytes: row![0], logBytes: 0 }
  }
}

const VERBS: PruningVerbs<Transaction> = {
  async readPosition(transaction) {
    return (await transaction.rows<SweepPosition>(SELECT_SWEEP))[0] ?? null
  },
  storePosition(transaction, position) {
    if (position === null) transaction.send('DELETE FROM octoflow_sweep')
    else transaction.send(STORE_SWEEP, ...position)
  },
  retentions: (transaction, first, retention, limit) => transaction.rows(SELECT_RETENTIONS, first, retention, limit),
  firstIdAt,
  finishedJobs: (transaction, queueId, after, before, limit) =>
    transaction.rows<SweptRecord>(SELECT_FINISHED, after, before, limit, queueId),
  requestsWithoutJob: (transaction, after, before, limit) =>
    transaction.rows<SweptRecord>(SELECT_WITHOUT_JOB, after, before, limit),
  async longestPeriod(transaction) {
    return (await transaction.rows<[Duration | null]>(SELECT_LONGEST_PERIOD))[0]![0] ?? 0
  },
  placeholder: '$2',
  async deleteOutlived(transaction, { table, condition, values }, limit) {
    return (await transaction.rows(deleting(table, condition), limit, ...values)).length
  },
}

// What somebody uses at this moment is left for the next time.
const deleting = (table: string, condition: string): string => `DELETE FROM octoflow_${table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM octoflow_${table} WHERE ${condition} LIMIT $1 FOR UPDATE SKIP LOCKED))
  RETURNING 1`

const SELECT_RETENTIONS = `SELECT q.id, coalesce(q.retention, $2) FROM octoflow_queues q
  WHERE q.id >= $1 AND coalesce(q.retention, $2) IS NOT NULL
    AND (SELECT sum(completed + cancelled + dead) FROM octoflow_counts WHERE queue_id = q.id) > 0
  ORDER BY q.id LIMIT $3`

const SELECT_LONGEST_PERIOD = `SELECT max(greatest((rate_limit::json ->> 'period')::bigint, (key_rate_limit::json ->> 'period')::bigint))
  FROM octoflow_queues`

const SELECT_SWEEP = 'SELECT queue_id, position FROM octoflow_sweep'

const STORE_SWEEP = `INSERT INTO octoflow_sweep (queue_id, position) VALUES ($1, $2)
  ON CONFLICT (one) DO UPDATE SET queue_id = excluded.queue_id, position = excluded.position`

// One range of the index for each final stage.
const SELECT_FINISHED = `SELECT id, finished_at FROM (
    SELECT job.* FROM (VALUES (4::smallint), (5), (6)) AS final (stage), LATERAL (
      SELECT id, finished_at FROM octoflow_requests
       WHERE queue_id = $4 AND stage = final.stage AND stage > 3 AND id > $1 AND id < $2 ORDER BY id LIMIT $3) AS job
  ) AS found ORDER BY id LIMIT $3`

const SELECT_WITHOUT_JOB =
  'SELECT id, received_at FROM octoflow_requests WHERE stage IS NULL AND id > $1 AND id < $2 ORDER BY id LIMIT $3'

const FOLD = `WITH gone AS (
    DELETE FROM octoflow_stats WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM octoflow_stats WHERE slot >= 0 AND start < $1 AND start + span <= $1 ORDER BY start LIMIT 5000
      FOR UPDATE SKIP LOCKED))
    RETURNING *)
  INSERT INTO octoflow_stats AS s (queue_id, span, start, slot, ${STATS_COLUMNS.join(', ')})
  SELECT queue_id, span, start, -1, ${STATS_COLUMNS.map((column) => `sum(${column})`).join(', ')} FROM gone
   GROUP BY queue_id, span, start ORDER BY queue_id, span, start
  ON CONFLICT (queue_id, span, start, slot) DO UPDATE
    SET ${STATS_COLUMNS.map((column) => `${column} = s.${column} + excluded.${column}`).join(', ')}`

const SELECT_TIME = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint'

const SUM_SIZES = `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'octoflow\\_%'`
