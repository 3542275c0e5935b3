import type { Instant } from '../../../lib/time.ts'
import type { AttemptOutcome } from '../../../model/job.ts'
import type { Outcome, Settlement } from '../../../model/settle.ts'
import type { NewEvent } from '../../contract/events.ts'
import type { ReportResult } from '../../contract/leases.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { applyOutcome, type Taken, type TimedReport, takeReport } from '../../sql/settling.ts'
import { Stage } from '../../sql/stages.ts'
import { sendEvents } from './events.ts'
import type { Transaction } from './transaction.ts'

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
    const taken = takeReport(transaction, report, endings.get(`${report.id}:${report.fence}`), settleJob)
    if (taken.kept && report.outcome.kind !== 'completed') endings.set(`${report.id}:${fence}`, report.outcome.kind)
    results.set(report, taken)
  }
}

/** Applies what `model/settle.ts` decides to a locked job. @returns `null` where the outcome does not apply to its state. */
export function settleJob(
  transaction: Transaction,
  job: JobRecord,
  outcome: Outcome,
  finishedAt: Instant,
  now: Instant,
): Settlement | null {
  const settlement = applyOutcome(transaction, job, outcome, finishedAt, now)
  if (settlement !== null && outcome.kind === 'completed' && outcome.result !== null)
    storeResults(transaction, [[job.id, now, outcome.result]])
  return settlement
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
