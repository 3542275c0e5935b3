import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { isFinished } from '../../../model/job.ts'
import { expiry } from '../../../model/settle.ts'
import type { Beat, BeatResult, Claim, LeaseStore, ReportResult } from '../../contract/leases.ts'
import type { ItemResult, MovedJob } from '../../contract/storage.ts'
import { Stage, stateOf } from '../../sql/stages.ts'
import { claim, hasRoom, leaseOne } from './claims.ts'
import type { Database } from './database.ts'
import { findJob } from './job-rows.ts'
import { CLEAR_LABEL, completePlain, settleJob, takeReport } from './reports.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof LeaseStore> = Parameters<LeaseStore[Verb]>[0]

export class SqliteLeases implements LeaseStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  claim(params: Params<'claim'>): Promise<Claim> {
    return this.#writer.write((transaction) => claim(transaction, params))
  }

  heartbeat({ now, beats }: Params<'heartbeat'>): Promise<readonly BeatResult[]> {
    return this.#writer.write(() => beats.map((beat) => this.#beat(beat, now)))
  }

  report({ now, reports }: Params<'report'>): Promise<readonly ReportResult[]> {
    return this.#writer.write((transaction) => {
      const plain = completePlain(transaction, reports, now)
      const results = reports.map((report) => plain.get(report) ?? takeReport(transaction, report, now))
      transaction.lanes.balance(now)
      return results
    })
  }

  rescue({ now, startedSince = 0, limit }: Params<'rescue'>): Promise<readonly MovedJob[]> {
    return this.#writer.write((transaction) => {
      const expired = transaction.db.rows<[number, Instant | null]>(SELECT_EXPIRED, now, startedSince, limit)
      const moved = expired.map(([id, deadline]) => {
        const job = findJob(transaction.db, id)!
        const { state } = settleJob(transaction, job, expiry(deadline, now), now, now)!
        return { id, queue: transaction.queueById(job.queue_id).name, state }
      })
      transaction.lanes.balance(now)
      return moved
    })
  }

  renew({ now, id, worker, lease, start }: Params<'renew'>): Promise<ItemResult> {
    return this.#writer.write((transaction) => {
      const job = findJob(transaction.db, id)
      if (job === undefined) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (isFinished(state) && start) return { id, error: new OctoflowError('job_finished', { id, state }) }
      if (state === 'running') {
        transaction.db.run(EXTEND_LEASE, now + lease, id)
        if (start) transaction.db.run(CLEAR_LABEL, id)
      } else if (start) {
        if (!hasRoom(transaction, job)) return { id, error: new OctoflowError('job_must_wait', { id }) }
        leaseOne(transaction, job, worker, now, lease)
        transaction.lanes.balance(now)
      }
      return { id, error: null }
    })
  }

  shift({ by }: Params<'shift'>): Promise<void> {
    return this.#writer.write((transaction) => {
      const { db, lanes } = transaction
      db.run('UPDATE octoflow_requests SET lease_until = lease_until + ?1, deadline = deadline + ?1 WHERE stage = 3', by)
      db.run('UPDATE octoflow_requests SET run_at = run_at + ? WHERE stage = 1 AND fence > 0', by)
      for (const [id] of db.rows<[number]>(SELECT_TIMED_QUEUES)) {
        const queue = transaction.queueById(id)
        lanes.reviewAll(queue)
        queue.nextTimeMoved = true
      }
    })
  }

  #beat({ id, fence, lease, progress }: Beat, now: Instant): BeatResult {
    const row = this.#db.row<[number, number, number, Instant | null]>(SELECT_LEASE, id)
    const lost = { id, leaseUntil: null, cancelRequested: false }
    if (row === undefined) return lost
    const [stage, itsFence, cancelRequested, deadline] = row
    if (stage !== Stage.running || itsFence !== fence) return lost
    if (deadline !== null && deadline <= now) return lost
    if (progress === null) this.#db.run(EXTEND_LEASE, now + lease, id)
    else this.#db.run(EXTEND_LEASE_WITH_PROGRESS, now + lease, id, JSON.stringify(progress))
    return { id, leaseUntil: Math.min(now + lease, deadline ?? Infinity), cancelRequested: cancelRequested === 1 }
  }
}

const SELECT_LEASE = 'SELECT stage, fence, cancel_requested, deadline FROM octoflow_requests WHERE id = ?'

const EXTEND_LEASE = 'UPDATE octoflow_requests SET lease_until = min(?1, ifnull(deadline, ?1)) WHERE id = ?2'

const EXTEND_LEASE_WITH_PROGRESS =
  'UPDATE octoflow_requests SET lease_until = min(?1, ifnull(deadline, ?1)), progress = ?3 WHERE id = ?2'

const SELECT_TIMED_QUEUES = 'SELECT id FROM octoflow_queues WHERE scheduled > 0 OR key_rate_limit IS NOT NULL'

const SELECT_EXPIRED = `SELECT id, deadline FROM octoflow_requests
  WHERE stage = 3 AND lease_until <= ? AND started_at >= ? ORDER BY lease_until LIMIT ?`
