import { DAY, type Duration, type Instant, MINUTE } from '../../../lib/time.ts'
import type { RateLimit } from '../../../model/rate-limit.ts'
import { HOURS_KEPT, MINUTES_KEPT } from '../../contract/stats.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { Stage } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { firstIdAt } from './listing.ts'
import { foldLogEventCounts } from './log-event-roll-ups.ts'
import { sizeOf } from './size.ts'
import { adding, type Transaction } from './transaction.ts'
import type { Scalar } from './values.ts'
import type { Writer } from './writer.ts'

/** How long sightings of workers are kept. */
const WORKERS_KEPT = 30 * DAY

/** A sweep through more queues than these would take long. */
const QUEUES_AT_ONCE = 100

/** Roll-ups of what is past for so many minutes are folded into one row: clocks differ, and transactions take a while. */
const FOLD_AFTER = 3
const FOLDED_AT_ONCE = 5_000

/** Stands for a queue's id in the sweep through requests that made no job. */
const WITHOUT_JOB = 0

export class MysqlUpkeep implements UpkeepStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  prune({
    now,
    retention,
    limit,
  }: Parameters<UpkeepStore['prune']>[0]): Promise<{ readonly deleted: number; readonly more: boolean }> {
    return this.#db.underWay(async () => {
      const pruned = await this.#writer.transact((transaction) => prune(transaction, now, retention, limit))
      const past = Math.floor(now / MINUTE) - FOLD_AFTER
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

async function prune(
  transaction: Transaction,
  now: Instant,
  retention: Duration | null,
  limit: number,
): Promise<{ readonly deleted: number; readonly more: boolean }> {
  const swept = await sweep(transaction, retention, now, limit)
  let { more } = swept
  for (const [table, condition, before] of await sideTables(transaction, now)) {
    const { affectedRows } = await transaction.execute(
      `DELETE FROM octoflow_${table} WHERE ${condition} LIMIT ?`,
      before,
      limit,
    )
    if (affectedRows === limit) more = true
  }
  await transaction.lanes.balance(now)
  return { deleted: swept.deleted, more }
}

/**
 * Goes on from where the last sweep stopped: through the queues in order of id, and in each through its finished jobs in
 * order of id. A round is over when it has come to the end of the last queue.
 *
 * Only what came before `before` can have outlived it, so the way through a queue ends there and does not lead through the
 * many that are kept; what it does step over is old work that finished lately.
 */
async function sweep(
  transaction: Transaction,
  retention: Duration | null,
  now: Instant,
  limit: number,
): Promise<{ readonly deleted: number; readonly more: boolean }> {
  const [stopped] = await transaction.rows<[number, number]>('SELECT queue_id, position FROM octoflow_sweep FOR UPDATE')
  const [stoppedIn, stoppedAt] = stopped!
  const firstIds = new Map<Instant, number>()
  let deleted = 0
  let left = limit
  for (const [visited, [queueId, kept]] of (await retentionsFrom(transaction, stoppedIn, retention)).entries()) {
    const position = queueId === stoppedIn ? stoppedAt : 0
    if (visited === QUEUES_AT_ONCE) return stopAt(transaction, queueId, position, deleted)
    const before = now - kept
    const upto = firstIds.get(before) ?? (await firstIdAt(transaction, before))
    firstIds.set(before, upto)
    const candidates = await finishedJobs(transaction, queueId, position, upto, left)
    const outlived = candidates.filter(([, at]) => at < before).map(([id]) => id)
    if (outlived.length > 0) deleted += (await transaction.jobs.delete(outlived)).size
    left -= candidates.length
    if (left === 0) return stopAt(transaction, queueId, candidates.at(-1)?.[0] ?? position, deleted)
  }
  transaction.send(STORE_POSITION, WITHOUT_JOB, 0)
  return { deleted, more: false }
}

function stopAt(
  transaction: Transaction,
  queueId: number,
  position: number,
  deleted: number,
): { readonly deleted: number; readonly more: true } {
  transaction.send(STORE_POSITION, queueId, position)
  return { deleted, more: true }
}

/** The queues from `first` on in which something may have outlived its retention, one more than are visited at once. */
async function retentionsFrom(
  transaction: Transaction,
  first: number,
  retention: Duration | null,
): Promise<[queueId: number, kept: Duration][]> {
  const queues = await transaction.rows<[number, Duration]>(SELECT_RETENTIONS, retention, first, retention, QUEUES_AT_ONCE + 1)
  return first === WITHOUT_JOB && retention !== null ? [[WITHOUT_JOB, retention], ...queues] : queues
}

/** Rows by which a queue's jobs, or the requests without a job, are looked at: id and since when it counts. */
async function finishedJobs(
  transaction: Transaction,
  queueId: number,
  after: number,
  upto: number,
  limit: number,
): Promise<readonly (readonly [id: number, at: Instant])[]> {
  if (queueId === WITHOUT_JOB) return transaction.rows<[number, Instant]>(SELECT_WITHOUT_JOB, after, upto, limit)
  const found = await Promise.all(
    [Stage.completed, Stage.cancelled, Stage.dead].map((stage) =>
      transaction.rows<[number, Instant]>(SELECT_FINISHED, queueId, stage, after, upto, limit),
    ),
  )
  return found
    .flat()
    .sort(([a], [b]) => a - b)
    .slice(0, limit)
}

async function sideTables(
  transaction: Transaction,
  now: Instant,
): Promise<readonly (readonly [table: string, condition: string, before: number])[]> {
  const limits = await transaction.rows<[string | null, string | null]>(SELECT_RATE_LIMITS)
  const periods = limits.flat().flatMap((limit) => (limit === null ? [] : (JSON.parse(limit) as RateLimit).period))
  return [
    ['idempotency', 'expires_at <= ?', now],
    ['workers', 'last_seen_at < ?', now - WORKERS_KEPT],
    ['stats', 'span = 1 AND start < ?', Math.floor((now - MINUTES_KEPT) / MINUTE)],
    ['stats', 'span = 60 AND start < ?', Math.floor((now - HOURS_KEPT) / MINUTE)],
    ['rate_usage', 'slice < ?', now - 2 * Math.max(0, ...periods)],
    ['lanes', 'running = 0 AND ready = 0 AND held = 0 AND wake_at IS NULL AND ? IS NOT NULL', now],
  ]
}

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

const STORE_POSITION = 'UPDATE octoflow_sweep SET queue_id = ?, position = ?'

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
