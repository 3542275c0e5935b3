import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { type AttemptOutcome, type FinishedState, isFinished } from '../../../model/job.ts'
import { retryPolicy } from '../../../model/queue.ts'
import { type Outcome, type Settlement, settle } from '../../../model/settle.ts'
import type { Report, ReportResult } from '../../contract/leases.ts'
import { parseOptions } from '../../sql/options.ts'
import { pendingStage, Stage, stateOf } from '../../sql/stages.ts'
import { byId, type Database, forIds } from './database.ts'
import { insertEvent } from './events.ts'
import { findJob, type JobRecord, recordAttempt } from './job-rows.ts'
import type { QueueRow, Transaction } from './transaction.ts'

/**
 * Settles in one statement what most reports are: the completion of a job by the holder of its lease. What is not so plain
 * is left to `takeReport`.
 */
export function completePlain(transaction: Transaction, reports: readonly Report[], now: Instant): Map<Report, ReportResult> {
  const results = new Map<Report, ReportResult>()
  const candidates = new Map<number, Report>()
  // Of several reports on one job the first holds, so only that one may be settled before the others are looked at.
  const seen = new Set<number>()
  for (const report of reports) {
    if (isPlain(report) && !seen.has(report.id)) candidates.set(report.id, report)
    seen.add(report.id)
  }
  if (candidates.size === 0) return results
  const settled: Record<'handled' | 'unhandled', number[]> = { handled: [], unhandled: [] }
  for (const [id, queueId, fence, key, startedAt] of transaction.db.rows<RunningRecord>(
    ...forIds(SELECT_RUNNING, [...candidates.keys()]),
  )) {
    const report = candidates.get(id)!
    if (report.fence !== fence) continue
    const { handled, result } = report.outcome as Extract<Outcome, { kind: 'completed' }>
    const queue = transaction.queueById(queueId)
    settled[handled ? 'handled' : 'unhandled'].push(id)
    if (result !== null) transaction.db.run(STORE_RESULT, id, now, result)
    for (const event of report.events) insertEvent(transaction.db, id, event, now)
    transaction.move(queue, key, Stage.running, Stage.completed)
    const stats = transaction.stats(queue, now)
    stats.completed++
    stats.finished++
    stats.ran += Math.max(0, now - startedAt)
    results.set(report, { id, error: null, state: 'completed', queue: queue.name })
  }
  complete(transaction.db, settled.handled, true, now)
  complete(transaction.db, settled.unhandled, false, now)
  return results
}

function complete(db: Database, completed: readonly number[], handled: boolean, finishedAt: Instant): void {
  if (completed.length === 0) return
  const [sql, ids] = forIds(COMPLETE, completed)
  db.run(sql, finishedAt, handled ? 1 : 0, ids)
}

const isPlain = ({ fence, outcome, finishedAt }: Report): boolean =>
  fence !== null && outcome.kind === 'completed' && finishedAt === null

type RunningRecord = readonly [id: number, queueId: number, fence: number, key: string | null, startedAt: Instant]

export function takeReport(transaction: Transaction, report: Report, now: Instant): ReportResult {
  const { id } = report
  const refuse = (error: OctoflowError): ReportResult => ({ id, error, state: null, queue: null })
  const job = findJob(transaction.db, id)
  if (job === undefined) return refuse(new OctoflowError('job_not_found', { id }))
  const state = stateOf(job.stage)
  const done = (): ReportResult => ({
    id,
    error: null,
    state: stateOf(job.stage),
    queue: transaction.queueById(job.queue_id).name,
  })

  if (report.fence === null) {
    if (isFinished(state)) {
      if (endsAs(report.outcome) !== state) return refuse(new OctoflowError('job_finished', { id, state }))
      transaction.db.run(CLEAR_LABEL, id)
      return done()
    }
  } else if (job.fence !== report.fence || job.stage !== Stage.running) {
    return repeats(transaction.db, job, report.fence, report.outcome) ? done() : refuse(new OctoflowError('lease_lost', { id }))
  }

  const settlement = settleJob(transaction, job, report.outcome, report.finishedAt ?? now, now)
  // Without a fence, a report that means "pending again" may meet a job that is pending.
  if (settlement === null) return done()
  for (const event of report.events) insertEvent(transaction.db, id, event, now)
  return { id, error: null, state: settlement.state, queue: transaction.queueById(job.queue_id).name }
}

/** The final state an outcome asks for; `null` if it does not end the job. */
function endsAs(outcome: Outcome): FinishedState | null {
  switch (outcome.kind) {
    case 'completed':
      return 'completed'
    case 'cancelled':
      return 'cancelled'
    case 'discarded':
      return 'dead'
    default:
      return null
  }
}

/** Whether the attempt with this fence was settled by the same outcome before. */
function repeats(db: Database, job: JobRecord, fence: number, outcome: Outcome): boolean {
  const recorded = db.row<[AttemptOutcome]>(SELECT_OUTCOME, job.id, fence)
  if (recorded !== undefined) return recorded[0] === outcome.kind
  // The attempt that completed a job stands in the job's own row.
  return outcome.kind === 'completed' && job.stage === Stage.completed && job.fence === fence && job.started_at !== null
}

/** Applies what `model/settle.ts` decides. @returns `null` where the outcome does not apply to the job's state. */
export function settleJob(
  transaction: Transaction,
  job: JobRecord,
  outcome: Outcome,
  finishedAt: Instant,
  now: Instant,
): Settlement | null {
  const queue = transaction.queueById(job.queue_id)
  const policy = retryPolicy(
    { maxAttempts: job.max_attempts, backoff: parseOptions(job.options).backoff ?? null },
    queue.settings,
  )
  const settlement = settle(
    { state: stateOf(job.stage), attempt: job.attempt, ...policy, cancelRequested: job.cancel_requested === 1 },
    outcome,
    now,
  )
  if (settlement === null) return null

  const stage = stageAfter(settlement, job, now)
  if (outcome.kind === 'completed') {
    complete(transaction.db, [job.id], outcome.handled, finishedAt)
    if (outcome.result !== null) transaction.db.run(STORE_RESULT, job.id, now, outcome.result)
  } else {
    const { attempt, runAt, reason } = settlement
    const endedAt = isFinished(settlement.state) ? finishedAt : null
    transaction.db.run(SETTLE, stage, attempt, runAt ?? job.run_at, endedAt, reason, job.id)
    if (job.stage === Stage.running) recordAttempt(transaction.db, job, settlement, finishedAt)
  }
  transaction.move(queue, job.concurrency_key, job.stage, stage)
  noteEnd(transaction, queue, job, settlement, finishedAt, now)
  return settlement
}

function stageAfter({ state, runAt }: Settlement, job: JobRecord, now: Instant): Stage {
  switch (state) {
    case 'completed':
      return Stage.completed
    case 'cancelled':
      return Stage.cancelled
    case 'dead':
      return Stage.dead
    default:
      return pendingStage(runAt ?? now, job.concurrency_key, now)
  }
}

function noteEnd(
  transaction: Transaction,
  queue: QueueRow,
  job: JobRecord,
  settlement: Settlement,
  finishedAt: Instant,
  now: Instant,
): void {
  const stats = transaction.stats(queue, now)
  if (settlement.state === 'completed') stats.completed++
  if (settlement.state === 'dead') stats.dead++
  if (settlement.state === 'cancelled') stats.cancelled++
  if (settlement.error !== null) stats.failed++
  if (settlement.outcome === 'lease_expired') stats.expired++
  if (job.stage === Stage.running && job.started_at !== null) {
    stats.ran += Math.max(0, finishedAt - job.started_at)
    stats.finished++
  }
}

// What an outcome means takes the place of the client's own word for the job's status. The reason goes with a cancel that
// came too late.
const COMPLETE = byId(
  (ids) => `UPDATE octoflow_requests
    SET stage = 4, finished_at = ?, lease_until = NULL, cancel_requested = 0, reason = NULL, status_label = NULL,
      handled = handled | ? WHERE ${ids}`,
)

const SETTLE = `UPDATE octoflow_requests SET stage = ?, attempt = ?, run_at = ?, finished_at = ?, reason = coalesce(?, reason),
  lease_until = NULL, cancel_requested = 0, status_label = NULL WHERE id = ?`

const SELECT_RUNNING = byId(
  (ids) => `SELECT id, queue_id, fence, concurrency_key, started_at FROM octoflow_requests WHERE stage = 3 AND ${ids}`,
)

export const CLEAR_LABEL = 'UPDATE octoflow_requests SET status_label = NULL WHERE id = ? AND status_label IS NOT NULL'

export const STORE_RESULT = 'INSERT OR REPLACE INTO octoflow_results (job_id, at, value) VALUES (?, ?, ?)'

const SELECT_OUTCOME = 'SELECT outcome FROM octoflow_attempts WHERE job_id = ? AND fence = ?'
