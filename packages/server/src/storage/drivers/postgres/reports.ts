import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { type Instant, MINUTE } from '../../../lib/time.ts'
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
import { array, numbers, textArray } from './values.ts'

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

/** Takes reports of several callers, in their order. */
export async function takeReports(transaction: Transaction, reports: readonly TimedReport[]): Promise<readonly ReportResult[]> {
  const results = await completePlain(transaction, reports)
  const others = reports.filter((report) => !results.has(report))
  if (others.length > 0) await takeOthers(transaction, others, results)
  const said: Said[] = []
  const queueIds = new Set<number>()
  for (const report of reports) {
    const { queueId, kept } = results.get(report)!
    if (kept) for (const event of report.events) said.push([report.id, event, report.now])
    if (queueId !== null) queueIds.add(queueId)
  }
  sendEvents(transaction, said)
  await transaction.lanes.balance(Math.max(...reports.map(({ now }) => now)))
  const names = await transaction.names([...queueIds])
  return reports.map((report) => {
    const { error, state, queueId } = results.get(report)!
    return { id: report.id, error, state, queue: queueId === null ? null : names.get(queueId)! }
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
  // In order of id, as all lock jobs.
  const given = [...candidates.values()].sort((a, b) => a.id - b.id)
  const completed = await completeGiven(transaction, given)
  const withResult: Completed[] = []
  for (const [queueId, key, minute, ran, ids, limited] of completed) {
    transaction.change(queueId).limited = limited
    const settled = numbers(ids)
    transaction.move(queueId, key, Stage.running, Stage.completed, settled.length)
    const stats = transaction.stats(queueId, minute * MINUTE)
    stats.completed += settled.length
    stats.finished += settled.length
    stats.ran += ran
    const taken: Taken = { error: null, state: 'completed', queueId, kept: true }
    for (const id of settled) {
      const report = candidates.get(id)!
      if (report.outcome.result !== null) withResult.push(report)
      results.set(report, taken)
    }
  }
  storeResults(
    transaction,
    withResult.map(({ id, now, outcome }) => [id, now, outcome.result!]),
  )
  return results
}

function completeGiven(transaction: Transaction, given: readonly Completed[]): Promise<CompletedRecord[]> {
  const ids = array(given.map(({ id }) => id))
  const { fence, now, outcome } = given[0]!
  const alike = given.every((other) => other.fence === fence && other.now === now && other.outcome.handled === outcome.handled)
  if (alike) return transaction.rows<CompletedRecord>(COMPLETE_ALIKE, ids, fence, now, outcome.handled)
  return transaction.rows<CompletedRecord>(
    COMPLETE_EACH,
    ids,
    array(given.map((report) => report.fence)),
    array(given.map((report) => report.now)),
    array(given.map((report) => report.outcome.handled)),
  )
}

const isPlain = (report: TimedReport): report is Completed =>
  report.fence !== null && report.outcome.kind === 'completed' && report.finishedAt === null

function storeResults(transaction: Transaction, results: readonly (readonly [id: number, at: Instant, value: string])[]): void {
  if (results.length === 0) return
  transaction.send(
    STORE_RESULTS,
    array(results.map(([id]) => id)),
    array(results.map(([, at]) => at)),
    textArray(results.map(([, , value]) => value)),
  )
}

async function takeOthers(
  transaction: Transaction,
  reports: readonly TimedReport[],
  results: Map<TimedReport, Taken>,
): Promise<void> {
  const ids = reports.map(({ id }) => id)
  await transaction.jobs.lock(ids)
  const recorded = await transaction.rows<[number, number, AttemptOutcome]>(
    SELECT_OUTCOMES,
    array(ids),
    array(reports.map(({ fence }) => fence)),
  )
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
  const ended = { stage: stageAfter(settlement, job, now), leaseUntil: null, cancelRequested: false, statusLabel: null }
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

type CompletedRecord = readonly [
  queueId: number,
  key: string | null,
  minute: number,
  ran: number,
  ids: string,
  limited: boolean,
]

// The rows are found by their ids: `stage + 0` keeps the planner from reading all running jobs for each instead.
//
// What an outcome means takes the place of the client's own word for the job's status. The reason goes with a cancel that
// came too late.
const completing = (
  { fence, at, handled }: { readonly fence: string; readonly at: string; readonly handled: string },
  which: string,
): string => `WITH done AS (
    UPDATE octoflow_requests r
       SET stage = 4, finished_at = ${at}, lease_until = NULL, cancel_requested = false, reason = NULL, status_label = NULL,
         handled = r.handled OR ${handled}
      ${which} AND r.stage + 0 = 3 AND r.fence = ${fence}
    RETURNING r.id, r.queue_id, r.concurrency_key, ${at} AS at, r.started_at
  )
  SELECT queue_id, concurrency_key, at / ${MINUTE}, sum(greatest(0, at - started_at))::double precision, array_agg(id),
      (SELECT concurrency IS NOT NULL FROM octoflow_queues WHERE id = queue_id)
    FROM done GROUP BY 1, 2, 3`

const COMPLETE_EACH = completing(
  { fence: 'given.fence', at: 'given.at', handled: 'given.handled' },
  `FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::boolean[]) AS given (id, fence, at, handled) WHERE r.id = given.id`,
)

// What is the same for all, as in the reports of a batch, needs no join; that is a third of the time.
const COMPLETE_ALIKE = completing(
  { fence: '$2::integer', at: '$3::bigint', handled: '$4::boolean' },
  'WHERE r.id = ANY ($1::bigint[])',
)

const STORE_RESULTS = `INSERT INTO octoflow_results AS o (job_id, at, value)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])
  ON CONFLICT (job_id) DO UPDATE SET at = excluded.at, value = excluded.value`

const SELECT_OUTCOMES = `SELECT a.job_id, a.fence, a.outcome
  FROM unnest($1::bigint[], $2::integer[]) AS g (id, fence)
  JOIN octoflow_attempts a ON a.job_id = g.id AND a.fence = g.fence`
