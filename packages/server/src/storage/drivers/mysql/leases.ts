import type { Instant } from '../../../lib/time.ts'
import type { BeatResult, Claim, LeaseStore, ReportResult } from '../../contract/leases.ts'
import { type ClaimCall, SharedLeases, type TimedBeat } from '../../sql/leases.ts'
import type { TimedReport } from '../../sql/settling.ts'
import { claim, lockQueue, runningIn } from './claims.ts'
import type { Database } from './database.ts'
import { settleJob, takeReports } from './reports.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

export class MysqlLeases extends SharedLeases<Transaction> {
  protected override readonly settleJob = settleJob
  protected override readonly runningIn = runningIn
  readonly #writer: Writer
  /** Queues that were found to have limits. */
  readonly #limited = new Set<string>()

  constructor(db: Database, writer: Writer) {
    super(db, writer)
    this.#writer = writer
  }

  override shift({ by }: Parameters<LeaseStore['shift']>[0]): Promise<void> {
    return this.#writer.write(async (transaction) => {
      const timed = (await transaction.rows<[number]>(SELECT_TIMED_QUEUES)).map(([id]) => id)
      transaction.send(SHIFT_LEASES, by, by, await busyQueues(transaction))
      transaction.send(SHIFT_RETRIES, by, timed)
      if (timed.length > 0) transaction.lanes.reviewAll(timed)
      for (const id of timed) transaction.change(id).nextTimeMoved = true
      await transaction.names(timed)
    })
  }

  protected override claimAll(queue: string, calls: readonly ClaimCall[]): Promise<readonly Claim[]> {
    return claim(this.#writer, this.#limited, queue, calls)
  }

  protected override reportAll(reports: readonly TimedReport[]): Promise<readonly ReportResult[]> {
    // A repeated report with a fence is served again without effect.
    const repeatable = reports.every(({ fence }) => fence !== null)
    return this.#writer.transact((transaction) => takeReports(transaction, reports), { repeatable })
  }

  protected override async expired(
    transaction: Transaction,
    now: Instant,
    startedSince: Instant,
    limit: number,
  ): Promise<readonly number[]> {
    const queues = await busyQueues(transaction)
    return (await transaction.rows<[number]>(SELECT_EXPIRED, queues, now, startedSince, limit)).map(([id]) => id)
  }

  protected override async renewAll(
    transaction: Transaction,
    beats: readonly TimedBeat[],
  ): Promise<ReadonlyMap<number, BeatResult>> {
    const held = new Map(
      (
        await transaction.rows<LeaseRecord>(
          LOCK_LEASES,
          beats.map(({ id }) => id),
        )
      ).map((row) => [row[0], row]),
    )
    const renewed = new Map<number, BeatResult>()
    const alike = new Map<Instant, number[]>()
    for (const { id, fence, now, lease, progress } of beats) {
      const [, itsFence, deadline, cancelRequested] = held.get(id) ?? []
      if (itsFence !== fence || (deadline !== null && deadline! <= now)) continue
      const leaseUntil = Math.min(now + lease, deadline ?? Number.POSITIVE_INFINITY)
      renewed.set(id, { id, leaseUntil, cancelRequested: cancelRequested === 1 })
      const ids = alike.get(leaseUntil)
      if (ids === undefined) alike.set(leaseUntil, [id])
      else ids.push(id)
      if (progress !== null) transaction.send(STORE_PROGRESS, JSON.stringify(progress), id)
    }
    for (const [until, ids] of alike) transaction.send(RENEW, until, ids)
    return renewed
  }

  protected override async lockIfLimited(transaction: Transaction, jobId: number): Promise<void> {
    const [row] = await transaction.rows<[number, number]>(SELECT_LIMITED, jobId)
    if (row?.[1] === 1) await lockQueue(transaction, row[0])
  }
}

type LeaseRecord = readonly [id: number, fence: number, deadline: Instant | null, cancelRequested: number]

/** The queues in which jobs run. */
const busyQueues = async (transaction: Transaction): Promise<number[]> =>
  (await transaction.rows<[number]>(SELECT_BUSY_QUEUES)).map(([id]) => id)

const SELECT_LIMITED = `SELECT q.id, q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL
  FROM octoflow_requests r JOIN octoflow_queues q ON q.id = r.queue_id WHERE r.id = ?`

const SELECT_BUSY_QUEUES = 'SELECT queue_id FROM octoflow_counts GROUP BY queue_id HAVING SUM(running) > 0'

const SELECT_EXPIRED = `SELECT id FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id IN (?) AND stage = 3 AND place <= ? AND started_at >= ? ORDER BY place LIMIT ?`

const LOCK_LEASES = `SELECT id, fence, deadline, cancel_requested FROM octoflow_requests FORCE INDEX (PRIMARY)
  WHERE id IN (?) AND stage = 3 ORDER BY id FOR UPDATE`

const RENEW = 'UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET lease_until = ? WHERE id IN (?)'

const STORE_PROGRESS = 'UPDATE octoflow_requests SET progress = ? WHERE id = ?'

const SHIFT_LEASES = `UPDATE octoflow_requests SET lease_until = lease_until + ?, deadline = deadline + ?
  WHERE queue_id IN (?) AND stage = 3`

const SHIFT_RETRIES = 'UPDATE octoflow_requests SET run_at = run_at + ? WHERE due_queue IN (?) AND fence > 0'

const SELECT_TIMED_QUEUES = `SELECT id FROM octoflow_queues q
  WHERE key_rate_limit IS NOT NULL OR (SELECT COALESCE(SUM(scheduled), 0) FROM octoflow_counts WHERE queue_id = q.id) > 0
  ORDER BY id`
