import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { type AttemptOutcome, type FinishedState, isFinished } from '../../../model/job.ts'
import { retryPolicy } from '../../../model/queue.ts'
import { type Outcome, type Settlement, settle } from '../../../model/settle.ts'
import type { NewEvent } from '../../contract/events.ts'
import type { Report, ReportResult } from '../../contract/leases.ts'
import { parseOptions } from '../../sql/options.ts'
import { pendingStage, Stage, stateOf } from '../../sql/stages.ts'
import { sendEvents } from './events.ts'
import type { JobRecord } from './job-rows.ts'
import type { Transaction } from './transaction.ts'

/** A report with the time at which it was made. */
export interface TimedReport extends Report {
  readonly now: Instant
}

/** Takes reports of several callers, in their order. */
export async function takeReports(transaction: Transaction, reports: readonly TimedReport[]): Promise<readonly ReportResult[]> {
  const results = await completePlain(transaction, reports)
  const others = reports.filter((report) => !results.has(report))
  if (others.length > 0) await takeOthers(transaction, others, results)
  const keep = reports.filter((report) => results.get(report)!.kept)
  sendEvents(
    transaction,
    keep.flatMap(({ id, now, events }) => events.map((event): Said => [id, event, now])),
  )
  await transaction.lanes.balance(Math.max(...reports.map(({ now }) => now)))
  const names = await transaction.names([...results.values()].flatMap(({ queueId }) => (queueId === null ? [] : [queueId])))
  return reports.map((report) => {
    const { queueId, kept: _, ...result } = results.get(report)!
    return { id: report.id, ...result, queue: queueId === null ? null : names.get(queueId)! }
  })
}

type Said = readonly [id: number, event: NewEvent, now: Instant]

interface Taken extends Pick<ReportResult, 'error' | 'state'> {
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

type Completed = TimedReport & { readonly outcome: Extract<Outcome, { kind: 'completed' }> }

/**
 * Settles in one statement what most reports are: the completion of a job by the holder of its lease. What is not so plain
 * is left to `takeOthers`.
 */
async function completePlain(transaction: Transaction, reports: readonly TimedReport[]): Promise<Map<TimedReport, Taken>> {
  const results = new Map<TimedReport, Taken>()
  const candidates = new Map<number, Completed>()
  // Of several reports on one job the first holds, so only that one may be settled before the others are looked at.
  const seen = new Set<number>()
  for (const report of reports) {
    if (isPlain(report) && !seen.has(report.id)) candidates.set(report.id, report)
    seen.add(report.id)
  }
  if (candidates.size === 0) return results
  const running = await transaction.rows<RunningRecord>(LOCK_RUNNING, [...candidates.keys()])
  const ended: Completed[] = []
  for (const [id, queueId, fence, key, startedAt] of running) {
    const report = candidates.get(id)!
    if (report.fence !== fence) continue
    const { now } = report
    ended.push(report)
    transaction.move(queueId, key, Stage.running, Stage.completed)
    const stats = transaction.stats(queueId, now)
    stats.completed++
    stats.finished++
    stats.ran += Math.max(0, now - startedAt)
    results.set(report, { error: null, state: 'completed', queueId, kept: true })
  }
  for (const alike of Map.groupBy(ended, ({ now, outcome }) => `${now} ${outcome.handled}`).values()) {
    const { now, outcome } = alike[0]!
    transaction.send(
      COMPLETE,
      now,
      outcome.handled,
      alike.map(({ id }) => id),
    )
  }
  const withResult = ended.filter(({ outcome }) => outcome.result !== null)
  storeResults(
    transaction,
    withResult.map(({ id, now, outcome }) => [id, now, outcome.result!]),
  )
  return results
}

const isPlain = (report: TimedReport): report is Completed =>
  report.fence !== null && report.outcome.kind === 'completed' && report.finishedAt === null

function storeResults(transaction: Transaction, results: readonly (readonly [id: number, at: Instant, value: string])[]): void {
  transaction.insert(STORE_RESULTS, results)
}

async function takeOthers(
  transaction: Transaction,
  reports: readonly TimedReport[],
  results: Map<TimedReport, Taken>,
): Promise<void> {
  const ids = reports.map(({ id }) => id)
  await transaction.jobs.lock(ids)
  const fences = reports.flatMap(({ fence }) => fence ?? [])
  const recorded = await transaction.rows<[number, number, AttemptOutcome]>(SELECT_OUTCOMES, ids, fences)
  const endings = new Map(recorded.map(([id, fence, outcome]) => [`${id}:${fence}`, outcome]))
  for (const report of reports) {
    const fence = transaction.jobs.find(report.id)?.fence
    const taken = takeReport(transaction, report, endings.get(`${report.id}:${report.fence}`))
    if (taken.kept && report.outcome.kind !== 'completed') endings.set(`${report.id}:${fence}`, report.outcome.kind)
    results.set(report, taken)
  }
}

/** @param recorded how the attempt with the report's fence ended, where that is not in the job's own row. */
function takeReport(transaction: Transaction, report: TimedReport, recorded: AttemptOutcome | undefined): Taken {
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

/** Applies what `model/settle.ts` decides to a locked job. @returns `null` where the outcome does not apply to its state. */
export function settleJob(
  transaction: Transaction,
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
  const stage = stageAfter(settlement, job, now)
  const ended = { stage, leaseUntil: null, cancelRequested: false, statusLabel: null }
  if (outcome.kind === 'completed') {
    // The reason goes with a cancel that came too late.
    transaction.jobs.change(job, { ...ended, finishedAt, reason: null, handled: job.handled || outcome.handled })
    if (outcome.result !== null) storeResults(transaction, [[job.id, now, outcome.result]])
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

function noteEnd(transaction: Transaction, job: JobRecord, settlement: Settlement, finishedAt: Instant, now: Instant): void {
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

type RunningRecord = readonly [id: number, queueId: number, fence: number, key: string | null, startedAt: Instant]

const LOCK_RUNNING = `SELECT id, queue_id, fence, concurrency_key, started_at FROM octoflow_requests FORCE INDEX (PRIMARY)
  WHERE id IN (?) AND stage = 3 ORDER BY id FOR UPDATE`

// What an outcome means takes the place of the client's own word for the job's status. The reason goes with a cancel that
// came too late.
const COMPLETE = `UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET stage = 4, finished_at = ?, lease_until = NULL, cancel_requested = 0, reason = NULL,
  status_label = NULL, handled = handled OR ? WHERE id IN (?)`

export const STORE_RESULTS = `INSERT INTO octoflow_results (job_id, at, value) VALUES ?
  ON DUPLICATE KEY UPDATE at = VALUES(at), value = VALUES(value)`

const SELECT_OUTCOMES = 'SELECT job_id, fence, outcome FROM octoflow_attempts WHERE job_id IN (?) AND fence IN (?)'
