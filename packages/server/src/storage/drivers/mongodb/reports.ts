import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { type FinishedState, isFinished } from '../../../model/job.ts'
import { retryPolicy } from '../../../model/queue.ts'
import { type Outcome, type Settlement, settle } from '../../../model/settle.ts'
import type { Report, ReportResult } from '../../contract/leases.ts'
import { pendingStage, Stage, stateOf } from '../../sql/stages.ts'
import { attemptId, type JobDocument } from './documents.ts'
import { insertEvent } from './events.ts'
import { findJob, recordAttempt } from './job-documents.ts'
import type { Transaction } from './transaction.ts'

export async function takeReport(transaction: Transaction, report: Report, now: Instant): Promise<ReportResult> {
  const { id } = report
  const refuse = (error: OctoflowError): ReportResult => ({ id, error, state: null, queue: null })
  const job = await findJob(transaction, id)
  if (job === null) return refuse(new OctoflowError('job_not_found', { id }))
  const state = stateOf(job.stage)
  const done: ReportResult = { id, error: null, state, queue: job.queue }

  if (report.fence === null) {
    if (isFinished(state)) {
      if (endsAs(report.outcome) !== state) return refuse(new OctoflowError('job_finished', { id, state }))
      transaction.tables.requests.update(id, { statusLabel: null })
      return done
    }
  } else if (job.fence !== report.fence || job.stage !== Stage.running) {
    const repeated = await repeats(transaction, job, report.fence, report.outcome)
    return repeated ? done : refuse(new OctoflowError('lease_lost', { id }))
  }

  const settlement = await settleJob(transaction, job, report.outcome, report.finishedAt ?? now, now)
  // Without a fence, a report that means "pending again" may meet a job that is pending.
  if (settlement === null) return done
  for (const event of report.events) insertEvent(transaction, id, event, now)
  return { id, error: null, state: settlement.state, queue: job.queue }
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
async function repeats({ tables }: Transaction, job: JobDocument, fence: number, outcome: Outcome): Promise<boolean> {
  const recorded = await tables.attempts.get(attemptId(job._id, fence))
  if (recorded !== null) return recorded.outcome === outcome.kind
  // The attempt that completed a job stands in the job's own document.
  return outcome.kind === 'completed' && job.stage === Stage.completed && job.fence === fence && job.startedAt !== undefined
}

/** Applies what `model/settle.ts` decides. @returns `null` where the outcome does not apply to the job's state. */
export async function settleJob(
  transaction: Transaction,
  job: JobDocument,
  outcome: Outcome,
  finishedAt: Instant,
  now: Instant,
): Promise<Settlement | null> {
  const queue = await transaction.queueOf(job)
  const policy = retryPolicy({ maxAttempts: job.maxAttempts ?? null, backoff: job.backoff ?? null }, queue.settings)
  const settlement = settle(
    { state: stateOf(job.stage), attempt: job.attempt, ...policy, cancelRequested: job.cancelRequested ?? false },
    outcome,
    now,
  )
  if (settlement === null) return null

  const stage = stageAfter(settlement, job, now)
  const runAt = settlement.runAt ?? job.runAt
  // What an outcome means takes the place of the client's own word for the job's status.
  const common = { stage, leaseUntil: null, cancelRequested: null, statusLabel: null } as const
  if (outcome.kind === 'completed') {
    transaction.tables.requests.update(job._id, {
      ...common,
      finishedAt,
      holds: null,
      // The reason goes with a cancel that came too late.
      reason: null,
      ...(outcome.handled && { handled: true }),
      ...(outcome.result !== null && { result: { at: now, value: transaction.text(outcome.result) } }),
    })
  } else {
    const ended = isFinished(settlement.state)
    transaction.tables.requests.update(job._id, {
      ...common,
      attempt: settlement.attempt,
      runAt,
      finishedAt: ended ? finishedAt : null,
      ...(ended && { holds: null }),
      ...(settlement.reason !== null && { reason: settlement.reason }),
    })
    if (job.stage === Stage.running) await recordAttempt(transaction, job, settlement, finishedAt)
  }
  await transaction.move(queue, { concurrencyKey: job.concurrencyKey, runAt }, job.stage, stage)
  noteEnd(transaction.stats(queue, now), job, settlement, finishedAt)
  return settlement
}

function stageAfter({ state, runAt }: Settlement, job: JobDocument, now: Instant): Stage {
  switch (state) {
    case 'completed':
      return Stage.completed
    case 'cancelled':
      return Stage.cancelled
    case 'dead':
      return Stage.dead
    default:
      return pendingStage(runAt ?? now, job.concurrencyKey ?? null, now)
  }
}

function noteEnd(stats: ReturnType<Transaction['stats']>, job: JobDocument, settlement: Settlement, finishedAt: Instant): void {
  if (settlement.state === 'completed') stats.completed++
  if (settlement.state === 'dead') stats.dead++
  if (settlement.state === 'cancelled') stats.cancelled++
  if (settlement.error !== null) stats.failed++
  if (settlement.outcome === 'lease_expired') stats.expired++
  if (job.stage === Stage.running && job.startedAt !== undefined) {
    stats.ran += Math.max(0, finishedAt - job.startedAt)
    stats.finished++
  }
}
