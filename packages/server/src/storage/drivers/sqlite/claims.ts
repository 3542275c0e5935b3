import type { Duration, Instant } from '../../../lib/time.ts'
import type { Labels } from '../../../model/job.ts'
import { retryPolicy } from '../../../model/queue.ts'
import { deadlineOf } from '../../../model/settle.ts'
import type { Claim, ClaimedJob, LeaseStore } from '../../contract/leases.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import { type Meta, parseMeta } from '../../sql/meta.ts'
import { parseOptions } from '../../sql/options.ts'
import { Stage } from '../../sql/stages.ts'
import { byId, type Database, forIds } from './database.ts'
import type { JobRecord } from './job-rows.ts'
import type { QueueRow, Transaction } from './transaction.ts'

const PROMOTE_AT_ONCE = 1_000

/** Jobs that a claim holds back, because a new limit keeps them from starting, before it is answered with what it has. */
const HOLD_AT_ONCE = 500

/** To whom jobs are leased, since when and for how long. */
interface Lease {
  readonly worker: string
  readonly now: Instant
  readonly until: Instant
}

export function claim(
  transaction: Transaction,
  { now, queue: name, worker, limit, lease }: Parameters<LeaseStore['claim']>[0],
): Claim {
  const queue = transaction.findQueue(name)
  if (queue === null || queue.settings.paused) return { jobs: [], nextAt: null }
  promote(transaction, queue, now)
  const rate = transaction.lanes.queueRate(queue, now)
  const { concurrency } = queue.settings
  const room = concurrency === null ? limit : Math.min(limit, concurrency - queue.counts[Stage.running]!)
  const jobs = take(transaction, queue, Math.min(room, rate.free), { worker, now, until: now + lease })
  transaction.lanes.balance(now)
  return { jobs, nextAt: jobs.length < limit ? nextTry(transaction, queue, now) : null }
}

/** Whether one more job of its queue and of its key may run. */
export function hasRoom(transaction: Transaction, { queue_id: queueId, concurrency_key: key }: JobRecord): boolean {
  const queue = transaction.queueById(queueId)
  const { concurrency, keyConcurrency } = queue.settings
  if (concurrency !== null && queue.counts[Stage.running]! >= concurrency) return false
  return key === null || transaction.lanes.get(queue, key).running < keyConcurrency
}

/** Leases a job that a client without tokens works on although it did not claim it. */
export function leaseOne(transaction: Transaction, job: JobRecord, worker: string, now: Instant, lease: Duration): void {
  const queue = transaction.queueById(job.queue_id)
  const { timeout } = parseOptions(job.options)
  start(transaction.db, job.id, timeout ?? null, { worker, now, until: now + lease })
  noteStart(transaction, queue, job.concurrency_key, job.stage, job.run_at, now)
}

/** Frees the scheduled jobs that are due, and the lanes whose time has come: once for all claims of a transaction. */
function promote(transaction: Transaction, queue: QueueRow, now: Instant): void {
  if (queue.promoted) return
  queue.promoted = true
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

function take(transaction: Transaction, queue: QueueRow, room: number, lease: Lease): Claimed[] {
  const { db } = transaction
  const jobs: Claimed[] = []
  let characters = 0
  let held = 0
  while (jobs.length < room && characters < CHARACTERS_AT_ONCE && held < HOLD_AT_ONCE && queue.counts[Stage.ready]! > 0) {
    const rows = db.rows<ReadyRecord>(SELECT_READY, queue.id, room - jobs.length)
    if (rows.length === 0) break
    const plain: number[] = []
    for (const row of rows) {
      if (characters >= CHARACTERS_AT_ONCE) break
      if (!startReady(transaction, queue, row, lease.now)) {
        held++
        continue
      }
      const job = new Claimed(db, row, queue, lease)
      if (job.timeout === null) plain.push(job.id)
      else start(db, job.id, job.timeout, lease)
      jobs.push(job)
      characters += job.payload.length
    }
    if (plain.length === 0) continue
    const [sql, ids] = forIds(START_PLAIN, plain)
    db.run(sql, lease.now, lease.until, lease.worker, ids)
  }
  return jobs
}

function start(db: Database, id: number, timeout: Duration | null, { worker, now, until }: Lease): void {
  const deadline = timeout === null ? null : deadlineOf(now, timeout)
  db.run(START_ONE, now, Math.min(until, deadline ?? until), worker, deadline, id)
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
  const times = [scheduled ?? null, transaction.lanes.nextWake(queue, now), rateNextAt]
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
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

/** A class, for a claim makes hundreds of them: their request is parsed for those alone who ask. */
class Claimed implements ClaimedJob {
  readonly id: number
  readonly fence: number
  readonly leaseUntil: Instant
  readonly attempt: number
  readonly maxAttempts: number
  readonly priority: number
  readonly createdAt: Instant
  readonly runAt: Instant
  readonly timeout: Duration | null
  readonly concurrencyKey: string | null
  readonly labels: Labels
  readonly payload: string
  readonly #meta: string | null

  constructor(db: Database, row: ReadyRecord, queue: QueueRow, lease: Lease) {
    const options = parseOptions(row[7])
    const timeout = options.timeout ?? null
    this.id = row[0]
    this.attempt = row[1] + 1
    this.fence = row[2] + 1
    this.priority = row[3]
    this.runAt = row[4]
    this.concurrencyKey = row[5]
    this.maxAttempts = retryPolicy({ maxAttempts: row[6], backoff: null }, queue.settings).maxAttempts
    this.createdAt = row[8]
    this.timeout = timeout
    this.leaseUntil = timeout === null ? lease.until : Math.min(lease.until, deadlineOf(lease.now, timeout))
    this.labels = options.labels ?? NO_LABELS
    const [meta, body] = row[11] === null ? db.row<[string | null, string]>(SELECT_BODY, row[0])! : [row[10], row[11]]
    this.#meta = meta
    this.payload = row[9] === 1 ? db.row<[string]>(SELECT_REVISED, row[0])![0] : body
  }

  get request(): Meta {
    return parseMeta(this.#meta)
  }
}

const NO_LABELS: Labels = Object.freeze({})

// In the queries on pending jobs the literal `stage < 3` lets SQLite see that the partial index covers them.

const SELECT_READY = `SELECT id, attempt, fence, priority, run_at, concurrency_key, max_attempts, options, received_at, revised, meta, body
  FROM octoflow_requests
  WHERE queue_id = ? AND stage = 0 AND stage < 3 ORDER BY priority, id LIMIT ?`

const SELECT_BODY = 'SELECT meta, body FROM octoflow_bodies WHERE id = ?'

const SELECT_REVISED = 'SELECT body FROM octoflow_payloads WHERE job_id = ?'

const SELECT_DUE = `SELECT id, concurrency_key FROM octoflow_requests
  WHERE queue_id = ? AND stage = 1 AND run_at <= ? ORDER BY run_at LIMIT ?`

const SELECT_NEXT_DUE = 'SELECT run_at FROM octoflow_requests WHERE queue_id = ? AND stage = 1 ORDER BY run_at LIMIT 1'

const START = `UPDATE octoflow_requests SET stage = 3, attempt = attempt + 1, fence = fence + 1, status_label = NULL,
  progress = NULL,  started_at = ?, lease_until = ?, worker = ?`

const START_ONE = `${START}, deadline = ? WHERE id = ?`

const START_PLAIN = byId((ids) => `${START}, deadline = NULL WHERE ${ids}`)
