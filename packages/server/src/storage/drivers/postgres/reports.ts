import type { Instant } from '../../../lib/time.ts'
import type { AttemptOutcome } from '../../../model/job.ts'
import type { Outcome, Settlement } from '../../../model/settle.ts'
import type { NewEvent } from '../../contract/events.ts'
import type { ReportResult } from '../../contract/leases.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { QUEUE_COLUMNS, type QueueRecord } from '../../sql/queues.ts'
import { applyOutcome, type Taken, type TimedReport, takeReport } from '../../sql/settling.ts'
import { Stage } from '../../sql/stages.ts'
import { sendEvents } from './events.ts'
import { lockingLanes, parseLanes } from './lanes.ts'
import { addingSums, minuteOf } from './sums.ts'
import type { Transaction } from './transaction.ts'
import { array, numbers, textArray } from './values.ts'
import type { Writer } from './writer.ts'

/** What became of reports, and what their queues are called. */
interface Answers {
  readonly taken: Map<TimedReport, Taken>
  readonly queues: Map<number, string>
  /** Whether jobs with concurrency keys were among them. */
  keyed: boolean
}

/**
 * Takes reports of several callers, in their order. What most are, completions of jobs without a concurrency key, is one statement
 * and so a transaction by itself.
 */
export class Reports {
  readonly #writer: Writer
  /** Whether the last completions were of jobs with concurrency keys, too. */
  #keyed = false

  constructor(writer: Writer) {
    this.#writer = writer
  }

  async take(reports: readonly TimedReport[]): Promise<readonly ReportResult[]> {
    const { taken, queues } = reports.every(isPlain) ? await this.#completeAll(reports) : nothingYet()
    const left = reports.filter((report) => !taken.has(report))
    if (left.length > 0) {
      const others = await this.#writer.transact(
        (transaction) => takeAll(transaction, left, 'whatever it is'),
        optionsFor(left),
      )
      for (const [report, answer] of others.taken) taken.set(report, answer)
      for (const [id, name] of others.queues) queues.set(id, name)
    }
    return reports.map((report) => {
      const { error, state, queueId } = taken.get(report)!
      return { id: report.id, error, state, queue: queueId === null ? null : queues.get(queueId)! }
    })
  }

  /** What cannot be completed that way is left, keyed jobs too where none were expected. */
  async #completeAll(reports: readonly TimedReport[]): Promise<Answers> {
    const alone = !this.#keyed && reports.every(hasNothingElse)
    const answers = await this.#writer.transact((transaction) => takeAll(transaction, reports, 'if it is plain'), {
      ...optionsFor(reports),
      alone,
    })
    this.#keyed = alone ? answers.taken.size < reports.length : answers.keyed
    return answers
  }
}

/** A repeated report with a fence is served again without effect. */
const optionsFor = (reports: readonly TimedReport[]) => ({ repeatable: reports.every(({ fence }) => fence !== null) })

const nothingYet = (): Answers => ({ taken: new Map(), queues: new Map(), keyed: false })

const hasNothingElse = ({ outcome, events }: TimedReport): boolean =>
  outcome.kind === 'completed' && outcome.result === null && events.length === 0

/** Who takes only what is plain locks lanes together with jobs: there is nobody else to be locked after them. */
type What = 'if it is plain' | 'whatever it is'

async function takeAll(transaction: Transaction, reports: readonly TimedReport[], what: What): Promise<Answers> {
  // All in order of id, before some of them are completed.
  if (what === 'whatever it is') await transaction.jobs.lock(reports.map(({ id }) => id))
  const answers = await completePlain(transaction, reports, what === 'if it is plain')
  const { taken, queues } = answers
  for (const { id } of taken.keys()) transaction.jobs.forget(id)
  const others = reports.filter((report) => !taken.has(report))
  if (others.length > 0 && what === 'whatever it is') await takeOthers(transaction, others, taken)
  const said: Said[] = []
  const queueIds = new Set<number>()
  for (const report of reports) {
    const { queueId = null, kept = false } = taken.get(report) ?? {}
    if (kept) for (const event of report.events) said.push([report.id, event, report.now])
    if (queueId !== null) queueIds.add(queueId)
  }
  sendEvents(transaction, said)
  await transaction.lanes.balance(Math.max(...reports.map(({ now }) => now)))
  for (const [id, name] of await transaction.names([...queueIds])) queues.set(id, name)
  return answers
}

type Said = readonly [id: number, event: NewEvent, now: Instant]

type Completed = TimedReport & { readonly outcome: Extract<Outcome, { kind: 'completed' }> }

/**
 * Settles in one statement what most reports are: the completion of a job by the holder of its lease. What is not so plain
 * is left to `takeOthers`.
 */
async function completePlain(transaction: Transaction, reports: readonly TimedReport[], withLanes: boolean): Promise<Answers> {
  const answers = nothingYet()
  const candidates = new Map<number, Completed>()
  // Of several reports on one job the first holds, so only that one may be settled before the others are looked at.
  const seen = new Set<number>()
  for (const report of reports) {
    if (isPlain(report) && !seen.has(report.id)) candidates.set(report.id, report)
    seen.add(report.id)
  }
  if (candidates.size === 0) return answers
  // In order of id, as all lock jobs.
  const given = [...candidates.values()].sort((a, b) => a.id - b.id)
  const completed = await completeGiven(transaction, given, withLanes)
  const withResult: Completed[] = []
  for (const record of parseLanes(completed[0]?.[0] ?? null)) transaction.lanes.learn(record)
  for (const [, key, ids, ...record] of completed) {
    const [queueId] = record
    transaction.learn(record)
    answers.queues.set(queueId, record[1])
    const settled = numbers(ids)
    // The statement counted them.
    transaction.change(queueId).placesFreed += settled.length
    if (key !== null) {
      answers.keyed = true
      transaction.lanes.move(queueId, key, Stage.running, Stage.completed, settled.length)
    }
    const taken: Taken = { error: null, state: 'completed', queueId, kept: true }
    for (const id of settled) {
      const report = candidates.get(id)!
      if (report.outcome.result !== null) withResult.push(report)
      answers.taken.set(report, taken)
    }
  }
  storeResults(
    transaction,
    withResult.map(({ id, now, outcome }) => [id, now, outcome.result!]),
  )
  return answers
}

function completeGiven(transaction: Transaction, given: readonly Completed[], withLanes: boolean): Promise<CompletedRecord[]> {
  const keyed = transaction.alone ? 'left' : withLanes ? 'locked' : 'taken'
  const ids = array(given.map(({ id }) => id))
  const { fence, now, outcome } = given[0]!
  const alike = given.every((other) => other.fence === fence && other.now === now && other.outcome.handled === outcome.handled)
  if (alike) return transaction.rows<CompletedRecord>(COMPLETE_ALIKE[keyed], transaction.slot, ids, fence, now, outcome.handled)
  return transaction.rows<CompletedRecord>(
    COMPLETE_EACH[keyed],
    transaction.slot,
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

/** The lanes that were locked, in the first; jobs of one key, and their queue. */
type CompletedRecord = readonly [lanes: string | null, key: string | null, ids: string, ...QueueRecord]

const SUMS = addingSums(
  '$1',
  `SELECT queue_id, ${minuteOf('at')} AS minute, count(*) AS jobs, sum(greatest(0, at - started_at)::double precision) AS ran
      FROM done GROUP BY 1, 2`,
  { moved: ['running', 'completed'], took: { completed: 'jobs', finished: 'jobs', ran: 'ran' } },
)

// Of several queues they are locked later, by the balance.
const LANES = lockingLanes({
  queue: '(SELECT min(queue_id) FROM done HAVING min(queue_id) = max(queue_id))',
  keys: 'SELECT DISTINCT concurrency_key FROM done WHERE concurrency_key IS NOT NULL',
})

/** What becomes of jobs with concurrency keys: they are left alone, completed, or completed and their lanes locked. */
type Keyed = 'left' | 'taken' | 'locked'

// $1 the slot of counts, $2 ids.
//
// The rows are found by their ids: `stage + 0` keeps the planner from reading all running jobs for each instead.
//
// What an outcome means takes the place of the client's own word for the job's status. The reason goes with a cancel that
// came too late.
const completing = (
  { fence, at, handled }: { readonly fence: string; readonly at: string; readonly handled: string },
  which: string,
): Readonly<Record<Keyed, string>> => {
  const statement = (wanted: string, lanes: string): string => `WITH done AS (
    UPDATE octoflow_requests r
       SET stage = 4, finished_at = ${at}, lease_until = NULL, cancel_requested = false, reason = NULL, status_label = NULL,
         handled = r.handled OR ${handled}
      ${which} AND r.stage + 0 = 3 AND r.fence = ${fence} AND ${wanted}
    RETURNING r.id, r.queue_id, r.concurrency_key, ${at} AS at, r.started_at
  ), ${SUMS}
  SELECT CASE WHEN of_key.n = 1 THEN (${lanes}) END, of_key.key, of_key.ids, ${QUEUE_COLUMNS}
    FROM (SELECT row_number() OVER () AS n, queue_id, concurrency_key AS key, array_agg(id) AS ids FROM done GROUP BY 2, 3) AS of_key
    JOIN octoflow_queues q ON q.id = of_key.queue_id`
  return {
    left: statement('r.concurrency_key IS NULL', 'NULL::text'),
    taken: statement('true', 'NULL::text'),
    locked: statement('true', LANES),
  }
}

const COMPLETE_EACH = completing(
  { fence: 'given.fence', at: 'given.at', handled: 'given.handled' },
  `FROM unnest($2::bigint[], $3::integer[], $4::bigint[], $5::boolean[]) AS given (id, fence, at, handled) WHERE r.id = given.id`,
)

// What is the same for all, as in the reports of a batch, needs no join; that is a third of the time.
const COMPLETE_ALIKE = completing(
  { fence: '$3::integer', at: '$4::bigint', handled: '$5::boolean' },
  'WHERE r.id = ANY ($2::bigint[])',
)

const STORE_RESULTS = `INSERT INTO octoflow_results AS o (job_id, at, value)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])
  ON CONFLICT (job_id) DO UPDATE SET at = excluded.at, value = excluded.value`

const SELECT_OUTCOMES = `SELECT a.job_id, a.fence, a.outcome
  FROM unnest($1::bigint[], $2::integer[]) AS g (id, fence)
  JOIN octoflow_attempts a ON a.job_id = g.id AND a.fence = g.fence`
