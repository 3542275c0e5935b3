import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { type AttemptOutcome, type FinishedState, isFinished } from '../../../model/job.ts'
import { retryPolicy } from '../../../model/queue.ts'
import { type Outcome, type Settlement, settle } from '../../../model/settle.ts'
import type { Beat, BeatResult, Claim, ClaimedJob, LeaseStore, Report, ReportResult } from '../../contract/leases.ts'
import type { ItemResult } from '../../contract/storage.ts'
import type { Database } from './database.ts'
import { insertEvent } from './events.ts'
import { findJob, type JobRecord, recordAttempt } from './job-rows.ts'
import { parseMeta } from './meta.ts'
import { parseOptions } from './options.ts'
import { pendingStage, Stage, stateOf } from './stages.ts'
import type { QueueRow, Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

const PROMOTE_AT_ONCE = 1_000

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

  rescue({ now, limit }: Params<'rescue'>): Promise<number> {
    return this.#writer.write((transaction) => {
      const expired = transaction.db.rows<[number]>(SELECT_EXPIRED, now, limit)
      for (const [id] of expired) {
        const job = findJob(transaction.db, id)!
        settleJob(transaction, job, { kind: 'lease_expired' }, now, now)
      }
      transaction.lanes.balance(now)
      return expired.length
    })
  }

  renew({ now, id, worker, lease }: Params<'renew'>): Promise<ItemResult> {
    return this.#writer.write((transaction) => {
      const job = findJob(transaction.db, id)
      if (job === undefined) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (isFinished(state)) return { id, error: new OctoflowError('job_finished', { id, state }) }
      if (state === 'running') transaction.db.run(EXTEND_LEASE, now + lease, id)
      else {
        start(transaction, transaction.queueById(job.queue_id), job, worker, now, now + lease)
        transaction.lanes.balance(now)
      }
      return { id, error: null }
    })
  }

  grace({ until }: Params<'grace'>): Promise<void> {
    return this.#writer.write(({ db }) => {
      db.run('UPDATE octoflow_requests SET lease_until = ?1 WHERE stage = 3 AND lease_until < ?1', until)
    })
  }

  shift({ by }: Params<'shift'>): Promise<void> {
    return this.#writer.write(({ db, lanes }) => {
      db.run('UPDATE octoflow_requests SET lease_until = lease_until + ? WHERE stage = 3', by)
      lanes.wakeSleeping()
    })
  }

  #beat({ id, fence, lease, progress }: Beat, now: Instant): BeatResult {
    const row = this.#db.row<[number, number, number]>(SELECT_LEASE, id)
    if (row === undefined || row[0] !== Stage.running || row[1] !== fence)
      return { id, leaseUntil: null, cancelRequested: false }
    const leaseUntil = now + lease
    if (progress === null) this.#db.run(EXTEND_LEASE, leaseUntil, id)
    else this.#db.run(EXTEND_LEASE_WITH_PROGRESS, leaseUntil, JSON.stringify(progress), id)
    return { id, leaseUntil, cancelRequested: row[2] === 1 }
  }
}

function claim(transaction: Transaction, { now, queue: name, worker, limit, lease }: Params<'claim'>): Claim {
  const queue = transaction.findQueue(name)
  if (queue === null || queue.settings.paused) return { jobs: [], nextAt: null }
  promote(transaction, queue, now)
  const rate = transaction.lanes.queueRate(queue, now)
  const { concurrency } = queue.settings
  const room = concurrency === null ? limit : Math.min(limit, concurrency - queue.counts[Stage.running]!)
  const jobs = take(transaction, queue, Math.min(room, rate.free), worker, now, now + lease)
  transaction.lanes.balance(now)
  return { jobs, nextAt: jobs.length < limit ? nextTry(transaction, queue, now) : null }
}

/** Frees the scheduled jobs that are due, and the lanes whose time has come. */
function promote(transaction: Transaction, queue: QueueRow, now: Instant): void {
  if (queue.counts[Stage.scheduled]! > 0) {
    const due = transaction.db.rows<[number, string | null]>(SELECT_DUE, queue.id, now, PROMOTE_AT_ONCE)
    for (const [id, key] of due) {
      const stage = key === null ? Stage.ready : Stage.held
      transaction.db.run('UPDATE octoflow_requests SET stage = ? WHERE id = ?', stage, id)
      transaction.move(queue, key, Stage.scheduled, stage)
    }
  }
  transaction.lanes.touchDue(queue, now)
  transaction.lanes.balance(now)
}

function take(
  transaction: Transaction,
  queue: QueueRow,
  room: number,
  worker: string,
  now: Instant,
  leaseUntil: Instant,
): ClaimedJob[] {
  const jobs: ClaimedJob[] = []
  while (jobs.length < room && queue.counts[Stage.ready]! > 0) {
    const rows = transaction.db.rows<ReadyRecord>(SELECT_READY, queue.id, room - jobs.length)
    if (rows.length === 0) break
    const free = rows.filter((row) => startReady(transaction, queue, row, now))
    transaction.db.run(START_MANY, now, leaseUntil, worker, idList(free.map(([id]) => id)))
    for (const row of free) jobs.push(toClaimed(transaction.db, row, queue, leaseUntil))
  }
  return jobs
}

/** Notes the start of a job, or holds it back where its concurrency key has no room after all. */
function startReady(transaction: Transaction, queue: QueueRow, row: ReadyRecord, now: Instant): boolean {
  const key = row[5]
  if (key !== null) {
    const lane = transaction.lanes.touch(queue, key)
    if (!transaction.lanes.mayStart(lane, now)) {
      transaction.lanes.hold(lane, row[0])
      return false
    }
  }
  noteStart(transaction, queue, key, Stage.ready, row[4], now)
  return true
}

function nextTry(transaction: Transaction, queue: QueueRow, now: Instant): Instant | null {
  const scheduled =
    queue.counts[Stage.scheduled]! > 0 ? transaction.db.row<[number]>(SELECT_NEXT_DUE, queue.id)?.[0] : undefined
  const rateNextAt = queue.counts[Stage.ready]! > 0 ? transaction.lanes.queueRate(queue, now).nextAt : null
  const times = [scheduled ?? null, transaction.lanes.nextWake(queue), rateNextAt]
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/** Leases a job that a client without tokens works on although it did not claim it. */
function start(
  transaction: Transaction,
  queue: QueueRow,
  job: JobRecord,
  worker: string,
  now: Instant,
  leaseUntil: Instant,
): void {
  transaction.db.run(START_ONE, now, leaseUntil, worker, job.id)
  noteStart(transaction, queue, job.concurrency_key, job.stage, job.run_at, now)
}

function noteStart(
  transaction: Transaction,
  queue: QueueRow,
  key: string | null,
  from: Stage,
  runAt: Instant,
  now: Instant,
): void {
  transaction.move(queue, key, from, Stage.running)
  transaction.lanes.countStart(queue, key, now)
  const stats = transaction.stats(queue, now)
  stats.started++
  stats.waited += Math.max(0, now - runAt)
}

type ReadyRecord = readonly [
  id: number,
  attempt: number,
  fence: number,
  priority: number,
  runAt: Instant,
  key: string | null,
  maxAttempts: number | null,
  options: string | null,
  receivedAt: Instant,
  revised: number,
  meta: string | null,
  body: string | null,
]

function toClaimed(db: Database, row: ReadyRecord, queue: QueueRow, leaseUntil: Instant): ClaimedJob {
  const [id, attempt, fence, priority, runAt, concurrencyKey, ownMaxAttempts, optionsText, createdAt, revised] = row
  const options = parseOptions(optionsText)
  const [meta, body] = contentOf(db, row)
  return {
    id,
    fence: fence + 1,
    leaseUntil,
    attempt: attempt + 1,
    maxAttempts: retryPolicy({ maxAttempts: ownMaxAttempts, backoff: null }, queue.settings).maxAttempts,
    priority,
    createdAt,
    runAt,
    timeout: options.timeout ?? null,
    concurrencyKey,
    labels: options.labels ?? NOTHING,
    payload: revised === 1 ? db.row<[string]>(SELECT_REVISED, id)![0] : body,
    get request() {
      return parseMeta(meta)
    },
  }
}

function contentOf(db: Database, row: ReadyRecord): [meta: string | null, body: string] {
  const body = row[11]
  return body === null ? db.row<[string | null, string]>(SELECT_BODY, row[0])! : [row[10], body]
}

const NOTHING = Object.freeze({})

/** Ids as one value to bind, for `json_each`. */
const idList = (ids: readonly number[]): string => `[${ids.join()}]`

/**
 * Settles in one statement what most reports are: the completion of a job by the holder of its lease. What is not so plain
 * is left to `takeReport`.
 */
function completePlain(transaction: Transaction, reports: readonly Report[], now: Instant): Map<Report, ReportResult> {
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
    SELECT_RUNNING,
    idList([...candidates.keys()]),
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
  if (settled.handled.length > 0) transaction.db.run(COMPLETE_MANY, now, 1, idList(settled.handled))
  if (settled.unhandled.length > 0) transaction.db.run(COMPLETE_MANY, now, 0, idList(settled.unhandled))
  return results
}

const isPlain = ({ fence, outcome, finishedAt }: Report): boolean =>
  fence !== null && outcome.kind === 'completed' && finishedAt === null

type RunningRecord = readonly [id: number, queueId: number, fence: number, key: string | null, startedAt: Instant]

function takeReport(transaction: Transaction, report: Report, now: Instant): ReportResult {
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
    if (isFinished(state))
      return endsAs(report.outcome) === state ? done() : refuse(new OctoflowError('job_finished', { id, state }))
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
function settleJob(
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
    transaction.db.run(COMPLETE, finishedAt, outcome.handled ? 1 : 0, job.id)
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

// In the queries on pending jobs the literal `stage < 3` lets SQLite see that the partial index covers them.

const SELECT_READY = `SELECT id, attempt, fence, priority, run_at, concurrency_key, max_attempts, options, received_at, revised, meta, body
  FROM octoflow_requests
  WHERE queue_id = ? AND stage = 0 AND stage < 3 ORDER BY priority, id LIMIT ?`

const SELECT_BODY = 'SELECT meta, body FROM octoflow_bodies WHERE id = ?'

const SELECT_REVISED = 'SELECT body FROM octoflow_payloads WHERE job_id = ?'

const SELECT_DUE = `SELECT id, concurrency_key FROM octoflow_requests
  WHERE queue_id = ? AND stage = 1 AND run_at <= ? ORDER BY run_at LIMIT ?`

const SELECT_NEXT_DUE = 'SELECT run_at FROM octoflow_requests WHERE queue_id = ? AND stage = 1 ORDER BY run_at LIMIT 1'

const START = `UPDATE octoflow_requests SET stage = 3, attempt = attempt + 1, fence = fence + 1, started_at = ?, lease_until = ?,
  worker = ?`

const START_ONE = `${START} WHERE id = ?`

const START_MANY = `${START} WHERE id IN (SELECT value FROM json_each(?))`

const SELECT_LEASE = 'SELECT stage, fence, cancel_requested FROM octoflow_requests WHERE id = ?'

const EXTEND_LEASE = 'UPDATE octoflow_requests SET lease_until = ? WHERE id = ?'

const EXTEND_LEASE_WITH_PROGRESS = 'UPDATE octoflow_requests SET lease_until = ?, progress = ? WHERE id = ?'

const SELECT_EXPIRED = 'SELECT id FROM octoflow_requests WHERE stage = 3 AND lease_until <= ? ORDER BY lease_until LIMIT ?'

// The reason goes with a cancel that came too late.
const COMPLETE = `UPDATE octoflow_requests
  SET stage = 4, finished_at = ?, lease_until = NULL, reason = NULL, handled = handled | ? WHERE id = ?`

const SETTLE = `UPDATE octoflow_requests SET stage = ?, attempt = ?, run_at = ?, finished_at = ?, reason = coalesce(?, reason),
  lease_until = NULL WHERE id = ?`

const SELECT_RUNNING = `SELECT id, queue_id, fence, concurrency_key, started_at FROM octoflow_requests
  WHERE id IN (SELECT value FROM json_each(?)) AND stage = 3`

const COMPLETE_MANY = `UPDATE octoflow_requests
  SET stage = 4, finished_at = ?, lease_until = NULL, reason = NULL, handled = handled | ? WHERE id IN (SELECT value FROM json_each(?))`

const STORE_RESULT = 'INSERT OR REPLACE INTO octoflow_results (job_id, at, value) VALUES (?, ?, ?)'

const SELECT_OUTCOME = 'SELECT outcome FROM octoflow_attempts WHERE job_id = ? AND fence = ?'
