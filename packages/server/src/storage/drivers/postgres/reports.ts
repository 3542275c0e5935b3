import { type Instant, MINUTE } from '../../../lib/time.ts'
import type { AttemptOutcome } from '../../../model/job.ts'
import type { Outcome, Settlement } from '../../../model/settle.ts'
import type { NewEvent } from '../../contract/events.ts'
import type { ReportResult } from '../../contract/leases.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { applyOutcome, type Taken, type TimedReport, takeReport } from '../../sql/settling.ts'
import { Stage } from '../../sql/stages.ts'
import { sendEvents } from './events.ts'
import type { Transaction } from './transaction.ts'
import { array, numbers, textArray } from './values.ts'

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
