import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Instant } from '../../lib/time.ts'
import { type AttemptOutcome, type FinishedState, isFinished, type JobError } from '../../model/job.ts'
import { type QueueSettings, retryPolicy } from '../../model/queue.ts'
import { type Outcome, type Settlement, settle } from '../../model/settle.ts'
import type { Report, ReportResult } from '../contract/leases.ts'
import type { JobRecord } from './job-record.ts'
import { parseOptions } from './options.ts'
import type { StatsRow } from './queue-change.ts'
import { pendingStage, Stage, stateOf } from './stages.ts'

/** A report with the time at which it was made. */
export interface TimedReport extends Report {
  readonly now: Instant
}

export const timed = ({ id, fence, outcome, finishedAt, events }: Report, now: Instant): TimedReport => ({
  id,
  fence,
  outcome,
  finishedAt,
  events,
  now,
})

/** What a transaction has to do with jobs whose attempts end. */
export interface SettlingTransaction {
  readonly jobs: {
    find(id: number): JobRecord | undefined
    change(job: JobRecord, change: Partial<JobRecord>): void
    recordAttempt(job: JobRecord, outcome: AttemptOutcome, error: JobError | null, finishedAt: Instant): void
  }
  settingsOf(queueId: number): QueueSettings
  stats(queueId: number, now: Instant): StatsRow
}

export interface Taken extends Pick<ReportResult, 'error' | 'state'> {
  readonly queueId: number | null
  /** Whether it settled an attempt, so that its events are kept. */
  readonly kept: boolean
}

const refused = (error: OctoflowError): Taken => ({ error, state: null, queueId: null, kept: false })

const served = (job: JobRecord, kept: boolean): Taken => ({
  error: null,
  state: stateOf(job.stage),
  queueId: job.queueId,
  kept,
})

/** Takes a report on a locked job. @param recorded how the attempt with the report's fence ended, where that is not in the job's own row. */
export function takeReport<In extends SettlingTransaction>(
  transaction: In,
  report: TimedReport,
  recorded: AttemptOutcome | undefined,
  settleJob: (transaction: In, job: JobRecord, outcome: Outcome, finishedAt: Instant, now: Instant) => Settlement | null,
): Taken {
  const { id, fence, outcome, now } = report
  const job = transaction.jobs.find(id)
  if (job === undefined) return refused(new OctoflowError('job_not_found', { id }))
  const state = stateOf(job.stage)

  if (fence === null) {
    if (isFinished(state)) {
      if (endsAs(outcome) !== state) return refused(new OctoflowError('job_finished', { id, state }))
      if (job.statusLabel !== null) transaction.jobs.change(job, { statusLabel: null })
      return served(job, false)
    }
  } else if (job.fence !== fence || job.stage !== Stage.running)
    return repeats(job, fence, outcome, recorded) ? served(job, false) : refused(new OctoflowError('lease_lost', { id }))

  const settlement = settleJob(transaction, job, outcome, report.finishedAt ?? now, now)
  // Without a fence, a report that means "pending again" may meet a job that is pending.
  return served(job, settlement !== null)
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
function repeats(job: JobRecord, fence: number, outcome: Outcome, recorded: AttemptOutcome | undefined): boolean {
  if (recorded !== undefined) return recorded === outcome.kind
  // The attempt that completed a job stands in the job's own row.
  return outcome.kind === 'completed' && job.stage === Stage.completed && job.fence === fence && job.startedAt !== null
}

/** Does to a locked job what `model/settle.ts` decides, but for its result. @returns `null` where the outcome does not apply to its state. */
export function applyOutcome(
  transaction: SettlingTransaction,
  job: JobRecord,
  outcome: Outcome,
  finishedAt: Instant,
  now: Instant,
): Settlement | null {
  const policy = retryPolicy(
    { maxAttempts: job.maxAttempts, backoff: parseOptions(job.options).backoff ?? null },
    transaction.settingsOf(job.queueId),
  )
  const { attempt, cancelRequested } = job
  const settlement = settle({ state: stateOf(job.stage), attempt, ...policy, cancelRequested }, outcome, now)
  if (settlement === null) return null
  noteEnd(transaction, job, settlement, finishedAt, now)
  const ended = { stage: stageAfter(settlement, job, now), leaseUntil: null, cancelRequested: false, statusLabel: null }
  if (outcome.kind === 'completed') {
    // The reason goes with a cancel that came too late.
    transaction.jobs.change(job, { ...ended, finishedAt, reason: null, handled: job.handled || outcome.handled })
  } else {
    if (job.stage === Stage.running) transaction.jobs.recordAttempt(job, settlement.outcome, settlement.error, finishedAt)
    transaction.jobs.change(job, {
      ...ended,
      attempt: settlement.attempt,
      runAt: settlement.runAt ?? job.runAt,
      finishedAt: isFinished(settlement.state) ? finishedAt : null,
      reason: settlement.reason ?? job.reason,
    })
  }
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
      return pendingStage(runAt ?? now, job.concurrencyKey, now)
  }
}

function noteEnd(
  transaction: SettlingTransaction,
  job: JobRecord,
  settlement: Settlement,
  finishedAt: Instant,
  now: Instant,
): void {
  const stats = transaction.stats(job.queueId, now)
  if (settlement.state === 'completed') stats.completed++
  if (settlement.state === 'dead') stats.dead++
  if (settlement.state === 'cancelled') stats.cancelled++
  if (settlement.error !== null) stats.failed++
  if (settlement.outcome === 'lease_expired') stats.expired++
  if (job.stage === Stage.running && job.startedAt !== null) {
    stats.ran += Math.max(0, finishedAt - job.startedAt)
    stats.finished++
  }
}
