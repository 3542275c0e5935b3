import type { Instant } from '../../../lib/time.ts'
import type { BeatResult, Claim, LeaseStore, ReportResult } from '../../contract/leases.ts'
import { type ClaimCall, SharedLeases, type TimedBeat } from '../../sql/leases.ts'
import type { TimedReport } from '../../sql/settling.ts'
import { Claims, lockQueue, runningIn } from './claims.ts'
import type { Database } from './database.ts'
import { Reports, settleJob } from './reports.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

export class PostgresLeases extends SharedLeases<Transaction> {
  protected override readonly settleJob = settleJob
  protected override readonly runningIn = runningIn
  readonly #writer: Writer
  readonly #claims: Claims
  readonly #reports: Reports

  constructor(db: Database, writer: Writer) {
    super(db, writer)
    this.#writer = writer
    this.#claims = new Claims(writer, db.queueNames)
    this.#reports = new Reports(writer)
  }

  override shift({ by }: Parameters<LeaseStore['shift']>[0]): Promise<void> {
    return this.#writer.write(async (transaction) => {
      transaction.send(SHIFT_LEASES, by)
      const queues = await transaction.rows<[number]>(SHIFT_DELAYS, by)
      for (const [id] of queues) transaction.change(id).nextTimeMoved = true
      transaction.lanes.wakeSleeping()
    })
  }

  protected override claimAll(queue: string, calls: readonly ClaimCall[]): Promise<readonly Claim[]> {
    return this.#claims.claim(queue, calls)
  }

  protected override reportAll(reports: readonly TimedReport[]): Promise<readonly ReportResult[]> {
    return this.#reports.take(reports)
  }

  protected override async expired(
    transaction: Transaction,
    now: Instant,
    startedSince: Instant,
    limit: number,
  ): Promise<readonly number[]> {
    return (await transaction.rows<[number]>(SELECT_EXPIRED, now, startedSince, limit)).map(([id]) => id)
  }

  protected override async renewAll(
    transaction: Transaction,
    beats: readonly TimedBeat[],
  ): Promise<ReadonlyMap<number, BeatResult>> {
    const renewed = await transaction.rows<[number, Instant, boolean]>(
      RENEW,
      array(beats.map(({ id }) => id)),
      array(beats.map(({ fence }) => fence)),
      array(beats.map(({ now }) => now)),
      array(beats.map(({ now, lease }) => now + lease)),
      textArray(beats.map(({ progress }) => (progress === null ? null : JSON.stringify(progress)))),
    )
    return new Map(renewed.map(([id, leaseUntil, cancelRequested]) => [id, { id, leaseUntil, cancelRequested }]))
  }

  protected override async lockIfLimited(transaction: Transaction, jobId: number): Promise<void> {
    const [row] = await transaction.rows<[number, boolean]>(SELECT_LIMITED, jobId)
    if (row?.[1] === true) await lockQueue(transaction, row[0])
  }
}

const SELECT_LIMITED = `SELECT q.id, q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL
  FROM octoflow_requests r JOIN octoflow_queues q ON q.id = r.queue_id WHERE r.id = $1`

const SELECT_EXPIRED = `SELECT id FROM octoflow_requests
  WHERE stage = 3 AND lease_until <= $1 AND started_at >= $2 ORDER BY lease_until LIMIT $3`

// The rows are found by their ids: `stage + 0` keeps the planner from reading all running jobs for each instead.
const RENEW = `UPDATE octoflow_requests r SET lease_until = least(b.until, r.deadline), progress = coalesce(b.progress, r.progress)
  FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::text[]) AS b (id, fence, now, until, progress)
  WHERE r.id = b.id AND r.stage + 0 = 3 AND r.fence = b.fence AND (r.deadline IS NULL OR r.deadline > b.now)
  RETURNING r.id, r.lease_until, r.cancel_requested`

const SHIFT_LEASES = `UPDATE octoflow_requests r SET lease_until = lease_until + $1, deadline = deadline + $1 FROM (
    SELECT id FROM octoflow_requests WHERE stage = 3 ORDER BY id FOR NO KEY UPDATE
  ) AS locked WHERE r.id = locked.id`

// What waits for a time that a client named is left alone. Gives the queues in which anything is scheduled.
const SHIFT_DELAYS = `WITH shifted AS (
    UPDATE octoflow_requests r SET run_at = run_at + $1 FROM (
      SELECT id FROM octoflow_requests WHERE stage = 1 AND fence > 0 ORDER BY id FOR NO KEY UPDATE
    ) AS locked WHERE r.id = locked.id)
  SELECT q.id FROM octoflow_queues q
   WHERE EXISTS (SELECT FROM octoflow_requests r WHERE r.queue_id = q.id AND r.stage = 1)`
