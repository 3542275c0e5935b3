import type { Instant } from '../../../lib/time.ts'
import type { RateLimit } from '../../../model/rate-limit.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { Stage } from '../../sql/stages.ts'
import { foldBefore, type Pruned, type PruningVerbs, prune, type SweepPosition, type SweptRecord } from '../../sql/upkeep.ts'
import type { Database } from './database.ts'
import { firstIdAt } from './listing.ts'
import { foldLogEventCounts } from './log-event-roll-ups.ts'
import { sizeOf } from './size.ts'
import { adding, type Transaction } from './transaction.ts'
import type { Scalar } from './values.ts'
import type { Writer } from './writer.ts'

const FOLDED_AT_ONCE = 5_000

export class MysqlUpkeep implements UpkeepStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  prune(params: Parameters<UpkeepStore['prune']>[0]): Promise<Pruned> {
    return this.#db.underWay(async () => {
      const pruned = await prune(this.#writer, params, VERBS)
      const past = foldBefore(params.now)
      await this.#writer.transact((transaction) => fold(transaction, past))
      await this.#writer.transact((transaction) => foldLogEventCounts(transaction, past, FOLDED_AT_ONCE))
      return pruned
    })
  }

  async check(): Promise<void> {
    // Writes for real, so that a full disk or a replica is found out.
    await this.#writer.write((transaction) => transaction.send('UPDATE octoflow_probe SET written = written + 1'), {
      repeatable: true,
    })
  }

  async time(): Promise<Instant> {
    const [row] = await this.#db.rows<[number]>(SELECT_TIME)
    return row![0]
  }

  async size(): Promise<StorageSize> {
    // The redo log is that of all databases of the server.
    return { bytes: await this.#db.reading((connection) => sizeOf(connection)), logBytes: 0 }
  }
}

const VERBS: PruningVerbs<Transaction> = {
  async readPosition(transaction) {
    return (await transaction.rows<SweepPosition>(SELECT_SWEEP))[0]!
  },
  storePosition: (transaction, position) => transaction.send(STORE_SWEEP, ...(position ?? BEGINNING)),
  retentions: (transaction, first, retention, limit) => transaction.rows(SELECT_RETENTIONS, retention, first, retention, limit),
  firstIdAt,
  async finishedJobs(transaction, queueId, after, before, limit) {
    const found = await Promise.all(
      [Stage.completed, Stage.cancelled, Stage.dead].map((stage) =>
        transaction.rows<SweptRecord>(SELECT_FINISHED, queueId, stage, after, before, limit),
      ),
    )
    return found
      .flat()
      .sort(([a], [b]) => a - b)
      .slice(0, limit)
  },
  requestsWithoutJob: (transaction, after, before, limit) =>
    transaction.rows<SweptRecord>(SELECT_WITHOUT_JOB, after, before, limit),
  async longestPeriod(transaction) {
    const limits = await transaction.rows<[string | null, string | null]>(SELECT_RATE_LIMITS)
    return Math.max(0, ...limits.flat().flatMap((limit) => (limit === null ? [] : (JSON.parse(limit) as RateLimit).period)))
  },
  placeholder: '?',
  async deleteOutlived(transaction, { table, condition, values }, limit) {
    const sql = `DELETE FROM octoflow_${table} WHERE ${condition} LIMIT ?`
    return (await transaction.execute(sql, ...values, limit)).affectedRows
  },
}

const BEGINNING: SweepPosition = [0, 0]

/** What the connections noted of a minute, or an hour, that is past becomes one row. */
async function fold(transaction: Transaction, minute: number): Promise<void> {
  const rows = await transaction.rows<StatsRecord>(LOCK_UNFOLDED, minute, FOLDED_AT_ONCE)
  const sums = new Map<string, Scalar[]>()
  for (const [queueId, span, start, slot, ...values] of rows) {
    transaction.send(DELETE_STATS, queueId, span, start, slot)
    const name = `${queueId} ${span} ${start}`
    const sum = sums.get(name)
    if (sum === undefined) sums.set(name, [queueId, span, start, FOLDED, ...values])
    else for (const [index, value] of values.entries()) (sum[index + 4] as number) += value
  }
  if (sums.size > 0) transaction.send(ADD_FOLDED, [...sums.values()])
}

type StatsRecord = readonly [queueId: number, span: number, start: number, slot: number, ...values: number[]]

/** Stands for all connections. */
export const FOLDED = -1

const SELECT_RETENTIONS = `SELECT id, COALESCE(retention, ?) FROM octoflow_queues q
  WHERE id >= ? AND COALESCE(retention, ?) IS NOT NULL
    AND (SELECT COALESCE(SUM(completed + cancelled + dead), 0) FROM octoflow_counts WHERE queue_id = q.id) > 0
  ORDER BY id LIMIT ?`

const SELECT_SWEEP = 'SELECT queue_id, position FROM octoflow_sweep FOR UPDATE'

const STORE_SWEEP = 'UPDATE octoflow_sweep SET queue_id = ?, position = ?'

const SELECT_RATE_LIMITS = `SELECT rate_limit, key_rate_limit FROM octoflow_queues
  WHERE rate_limit IS NOT NULL OR key_rate_limit IS NOT NULL`

const SELECT_FINISHED = `SELECT id, finished_at FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = ? AND place = 0 AND id > ? AND id < ? ORDER BY id LIMIT ?`

const SELECT_WITHOUT_JOB = `SELECT id, received_at FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id IS NULL AND stage IS NULL AND place = 0 AND id > ? AND id < ? ORDER BY id LIMIT ?`

const LOCK_UNFOLDED = `SELECT queue_id, span, start, slot, ${STATS_COLUMNS.join(', ')}
  FROM octoflow_stats FORCE INDEX (octoflow_stats_unfolded)
  WHERE open_until <= ? ORDER BY open_until LIMIT ? FOR UPDATE SKIP LOCKED`

const DELETE_STATS = 'DELETE FROM octoflow_stats WHERE queue_id = ? AND span = ? AND start = ? AND slot = ?'

const ADD_FOLDED = `INSERT INTO octoflow_stats (queue_id, span, start, slot, ${STATS_COLUMNS.join(', ')})
  VALUES ? ON DUPLICATE KEY UPDATE ${adding(STATS_COLUMNS)}`

const SELECT_TIME = `SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))`
