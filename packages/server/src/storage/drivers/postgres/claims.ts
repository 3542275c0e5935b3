import type { Duration, Instant } from '../../../lib/time.ts'
import type { Labels } from '../../../model/job.ts'
import { type QueueSettings, retryPolicy } from '../../../model/queue.ts'
import { deadlineOf } from '../../../model/settle.ts'
import type { Claim, ClaimedJob } from '../../contract/leases.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import { type Meta, parseMeta } from '../../sql/meta.ts'
import { parseOptions } from '../../sql/options.ts'
import { Stage } from '../../sql/stages.ts'
import { QUEUE_COLUMNS, type QueueRecord } from './queue-rows.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

const PROMOTE_AT_ONCE = 1_000

/** One of those who claim from a queue together. */
export interface ClaimCall {
  readonly now: Instant
  readonly worker: string
  readonly limit: number
  readonly lease: Duration
}

interface Round {
  readonly jobs: readonly StartedRecord[]
  readonly settings: QueueSettings | null
  readonly nextAt: Instant | null
  /** Whether jobs had to be passed over, so that there may be others behind them. */
  readonly passedOver: boolean
}

const NOTHING: Round = { jobs: [], settings: null, nextAt: null, passedOver: false }

/** Claims for several callers at once; who comes first gets the better jobs. */
export async function claim(writer: Writer, queue: string, calls: readonly ClaimCall[]): Promise<readonly Claim[]> {
  const takers = new Takers(calls)
  let round = await writer.transact((transaction) => take(transaction, queue, takers, 'unless due'))
  if (round === 'due') {
    // By a transaction of its own: this one locks lanes, and jobs are locked before lanes are.
    await writer.transact((transaction) => promote(transaction, queue, takers.now))
    round = await writer.transact((transaction) => take(transaction, queue, takers, 'whatever is due'))
  }
  while (round !== 'due') {
    takers.give(round)
    if (!round.passedOver || takers.wanted === 0) return takers.claims(round.nextAt)
    round = await writer.transact((transaction) => take(transaction, queue, takers, 'whatever is due'))
  }
  throw new Error('what is due was made ready already')
}

/** Those who claim together, and what each has got so far. */
class Takers {
  readonly now: Instant
  readonly #calls: readonly ClaimCall[]
  readonly #jobs: ClaimedJob[][]

  constructor(calls: readonly ClaimCall[]) {
    this.now = Math.max(...calls.map(({ now }) => now))
    this.#calls = calls
    this.#jobs = calls.map(() => [])
  }

  get wanted(): number {
    return this.#left().reduce((sum, left) => sum + left, 0)
  }

  /** Whose is the nth job: the first of each, its worker and the end of its lease. */
  parameters(): readonly [firsts: string, workers: string, untils: string] {
    const firsts: number[] = []
    let first = 1
    for (const left of this.#left()) {
      firsts.push(first)
      first += left
    }
    return [
      array(firsts),
      textArray(this.#calls.map(({ worker }) => worker)),
      array(this.#calls.map(({ lease }) => this.now + lease)),
    ]
  }

  give({ jobs, settings }: Round): void {
    if (settings === null) return
    const left = this.#left()
    let taker = 0
    let end = left[0]!
    for (const row of jobs.toSorted((a, b) => a[0] - b[0])) {
      while (row[0] > end) end += left[++taker]!
      this.#jobs[taker]!.push(new Claimed(row, settings))
    }
  }

  claims(nextAt: Instant | null): Claim[] {
    return this.#calls.map(({ limit }, index) => {
      const jobs = this.#jobs[index]!
      return { jobs, nextAt: jobs.length < limit ? nextAt : null }
    })
  }

  #left(): number[] {
    return this.#calls.map(({ limit }, index) => limit - this.#jobs[index]!.length)
  }
}

/** Takes what is ready, or says that something is due that must be made ready before. */
async function take(
  transaction: Transaction,
  name: string,
  takers: Takers,
  when: 'unless due' | 'whatever is due',
): Promise<Round | 'due'> {
  const { now } = takers
  const queueId = (await transaction.findQueues([name])).get(name)
  if (queueId === undefined) return NOTHING
  const skipDue = when === 'whatever is due'
  const [[found], unlimited] = await Promise.all([
    transaction.rows<QueueState>(SELECT_STATE, queueId),
    pick(transaction, queueId, takers, takers.wanted, { skipDue, skipLimits: false }),
  ])
  if (found === undefined) return NOTHING
  const [nextDue, nextWake, ...record] = found
  let settings = transaction.learn(record)
  let rows = unlimited
  if (rows.length === 0) {
    if (settings.paused) return NOTHING
    if (!skipDue && isDue(nextDue, now, nextWake)) return 'due'
    if (settings.concurrency !== null || settings.rateLimit !== null) {
      settings = await lockQueue(transaction, queueId)
      const room = await roomOf(transaction, queueId, takers.wanted, now)
      if (settings.paused) return NOTHING
      if (room > 0) rows = await pick(transaction, queueId, takers, room, { skipDue: true, skipLimits: true })
    }
  }

  const keyed = rows.filter((row) => row[1] === null)
  const plain = rows.filter((row) => row[1] !== null) as StartedRecord[]
  for (const row of plain) noteStart(transaction, queueId, null, row[6], now)
  const started = await startKeyed(transaction, queueId, keyed, takers)
  const jobs = [...plain, ...started]
  // Jobs beyond what one answer can carry were locked all the same, and passed by by others.
  if (jobs.reduce((sum, row) => sum + row[13].length, 0) >= CHARACTERS_AT_ONCE) transaction.change(queueId).becameReady++
  const nextAt =
    jobs.length < takers.wanted
      ? await nextTry(transaction, queueId, nextDue, keyed.length > 0 ? 'changed' : nextWake, now)
      : null
  return { jobs, settings, nextAt, passedOver: jobs.length < rows.length }
}

const isDue = (nextDue: Instant | null, now: Instant, nextWake: Instant | null): boolean =>
  (nextDue !== null && nextDue <= now) || (nextWake !== null && nextWake <= now)

/** Frees the scheduled jobs that are due, and the lanes whose time has come. */
async function promote(transaction: Transaction, name: string, now: Instant): Promise<void> {
  const queueId = (await transaction.findQueues([name])).get(name)!
  const due = await transaction.rows<[string | null]>(PROMOTE, queueId, now, PROMOTE_AT_ONCE)
  for (const [key] of due) transaction.move(queueId, key, Stage.scheduled, key === null ? Stage.ready : Stage.held)
  await transaction.lanes.touchDue(queueId, now)
  await transaction.lanes.balance(now)
}

/** Keeps others from starting jobs of a queue whose limits count. */
export async function lockQueue(transaction: Transaction, queueId: number): Promise<QueueSettings> {
  const [record] = await transaction.rows<QueueRecord>(LOCK_QUEUE, queueId)
  if (record === undefined) throw new Error(`queue ${queueId} is named by a job but does not exist`)
  return transaction.learn(record)
}

/** How many jobs may start, in a queue that is locked. */
async function roomOf(transaction: Transaction, queueId: number, wanted: number, now: Instant): Promise<number> {
  const [running] = await Promise.all([runningIn(transaction, queueId), transaction.lanes.rates.readQueue(queueId, now)])
  const { concurrency } = transaction.settingsOf(queueId)
  const places = concurrency === null ? wanted : Math.min(wanted, concurrency - running)
  return Math.min(places, transaction.lanes.rates.ofQueue(queueId, now).free)
}

export async function runningIn(transaction: Transaction, queueId: number): Promise<number> {
  return (await transaction.rows<[number]>(SUM_RUNNING, queueId))[0]![0]
}

/** Locks ready jobs, and starts those without a concurrency key. */
function pick(
  transaction: Transaction,
  queueId: number,
  takers: Takers,
  limit: number,
  { skipDue, skipLimits }: { readonly skipDue: boolean; readonly skipLimits: boolean },
): Promise<PickedRecord[]> {
  const { now } = takers
  return transaction.rows(PICK, now, ...takers.parameters(), GRACE, queueId, limit, CHARACTERS_AT_ONCE, skipDue, skipLimits)
}

/** Starts locked jobs whose concurrency key has room, and holds back the others. */
async function startKeyed(
  transaction: Transaction,
  queueId: number,
  keyed: readonly PickedRecord[],
  takers: Takers,
): Promise<readonly StartedRecord[]> {
  if (keyed.length === 0) return []
  const { lanes } = transaction
  const { now } = takers
  const wanted = keyed.map((row) => lanes.get(queueId, row[7]!))
  await Promise.all([lanes.lock(), lanes.rates.read(wanted, now)])
  const starting: PickedRecord[] = []
  const held: number[] = []
  for (const [index, row] of keyed.entries()) {
    const [, , id] = row
    if (lanes.mayStart(wanted[index]!, now)) {
      noteStart(transaction, queueId, row[7], row[6], now)
      starting.push(row)
    } else {
      transaction.move(queueId, row[7], Stage.ready, Stage.held)
      held.push(id)
    }
  }
  if (held.length > 0) transaction.send(HOLD, array(held))
  const started = await transaction.rows<StartedRecord>(
    START,
    now,
    ...takers.parameters(),
    GRACE,
    array(starting.map((row) => row[2])),
    array(starting.map((row) => row[0])),
  )
  await lanes.balance(now)
  return started
}

export function noteStart(
  transaction: Transaction,
  queueId: number,
  key: string | null,
  runAt: Instant,
  now: Instant,
  from: Stage = Stage.ready,
): void {
  transaction.move(queueId, key, from, Stage.running)
  transaction.lanes.rates.countStart(queueId, key, now)
  const stats = transaction.stats(queueId, now)
  stats.started++
  stats.waited += Math.max(0, now - runAt)
}

async function nextTry(
  transaction: Transaction,
  queueId: number,
  nextDue: Instant | null,
  nextWake: Instant | null | 'changed',
  now: Instant,
): Promise<Instant | null> {
  const times = [nextDue]
  if (nextWake === 'changed') {
    transaction.lanes.save()
    times.push((await transaction.rows<[Instant | null]>(SELECT_NEXT_WAKE, queueId))[0]![0])
  } else times.push(nextWake)
  const rateNextAt = transaction.lanes.rates.ofQueue(queueId, now).nextAt
  if (rateNextAt !== null && (await transaction.rows(SELECT_ANY_READY, queueId)).length > 0) times.push(rateNextAt)
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

type QueueState = readonly [nextDue: Instant | null, nextWake: Instant | null, ...QueueRecord]

/** A ready job that is locked: started already, or waiting for its key to be asked, in which case `attempt` is missing. */
type PickedRecord = readonly [
  n: number,
  attempt: number | null,
  id: number,
  fence: number,
  priority: number,
  createdAt: Instant,
  runAt: Instant,
  key: string | null,
  leaseUntil: Instant,
  timeout: Duration | null,
  maxAttempts: number | null,
  options: string | null,
  meta: string | null,
  payload: string,
]

type StartedRecord = PickedRecord & { readonly 1: number }

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

  constructor(row: StartedRecord, settings: QueueSettings) {
    this.attempt = row[1]
    this.id = row[2]
    this.fence = row[3]
    this.priority = row[4]
    this.createdAt = row[5]
    this.runAt = row[6]
    this.concurrencyKey = row[7]
    this.leaseUntil = row[8]
    this.timeout = row[9]
    this.maxAttempts = retryPolicy({ maxAttempts: row[10], backoff: null }, settings).maxAttempts
    this.labels = parseOptions(row[11]).labels ?? NO_LABELS
    this.#meta = row[12]
    this.payload = row[13]
  }

  get request(): Meta {
    return parseMeta(this.#meta)
  }
}

const NO_LABELS: Labels = Object.freeze({})

/** What `deadlineOf` adds to a time-out. */
const GRACE: Duration = deadlineOf(0, 0)

// In the queries on pending jobs `stage` is a literal: a plan made for any value would not know which partial index serves.

const SELECT_STATE = `SELECT
    (SELECT run_at FROM octoflow_requests WHERE queue_id = $1 AND stage = 1 ORDER BY run_at LIMIT 1),
    (SELECT wake_at FROM octoflow_lanes WHERE queue_id = $1 AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1),
    ${QUEUE_COLUMNS}
  FROM octoflow_queues q WHERE q.id = $1`

// $1 now, $2 firsts, $3 workers, $4 untils, $5 grace: the parameters of both statements that start jobs. `picked` has their id
// and their place among those that are picked, of which width_bucket tells whose they are.
const STARTING = `UPDATE octoflow_requests r SET stage = 3, attempt = r.attempt + 1, fence = r.fence + 1, status_label = NULL,
    progress = NULL, started_at = $1::bigint, worker = ($3::text[])[width_bucket(picked.n, $2::bigint[])],
    deadline = $1::bigint + r.timeout + $5::bigint,
    lease_until = least(($4::bigint[])[width_bucket(picked.n, $2::bigint[])], $1::bigint + r.timeout + $5::bigint)
  FROM picked WHERE r.id = picked.id`

const RETURNING = `RETURNING picked.n, r.attempt, r.id, r.fence, r.priority, r.received_at, r.run_at, r.concurrency_key,
  r.lease_until, r.timeout, r.max_attempts, r.options, r.meta, r.body, r.revised`

const SELECT_STARTED = `SELECT s.n, s.attempt, s.id, s.fence, s.priority, s.received_at, s.run_at, s.concurrency_key, s.lease_until,
    s.timeout, s.max_attempts, s.options, CASE WHEN s.body IS NULL THEN b.meta ELSE s.meta END,
    coalesce(p.body, s.body, b.body)
  FROM started s
  LEFT JOIN octoflow_bodies b ON s.body IS NULL AND b.id = s.id
  LEFT JOIN octoflow_payloads p ON s.revised AND p.job_id = s.id`

// $6 queue, $7 limit, $8 characters, $9 whatever is due, $10 whatever the limits. The claim is part of the statement that looks
// whether it may be made, so that a change of the settings comes either before or after it.
const PICK = `WITH locked AS MATERIALIZED (
    SELECT id, priority, run_at, concurrency_key, size FROM octoflow_requests
     WHERE queue_id = $6 AND stage = 0 ORDER BY priority, id
     LIMIT (SELECT CASE WHEN NOT q.paused
         AND ($10::boolean OR (q.concurrency IS NULL AND q.rate_limit IS NULL))
         AND ($9::boolean OR NOT EXISTS (SELECT FROM octoflow_requests WHERE queue_id = $6 AND stage = 1 AND run_at <= $1::bigint)
           AND NOT EXISTS (SELECT FROM octoflow_lanes WHERE queue_id = $6 AND wake_at IS NOT NULL AND wake_at <= $1::bigint))
         THEN $7::bigint ELSE 0 END FROM octoflow_queues q WHERE q.id = $6)
     FOR NO KEY UPDATE SKIP LOCKED
  ), ranked AS (
    SELECT *, row_number() OVER (ORDER BY priority, id) AS n FROM locked
  ), weighed AS (
    SELECT *, sum(size) OVER (PARTITION BY width_bucket(n, $2::bigint[]) ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
      AS before FROM ranked
  ), picked AS MATERIALIZED (
    SELECT id, n, run_at, concurrency_key FROM weighed WHERE before IS NULL OR before < $8::bigint
  ), started AS (
    ${STARTING} AND picked.concurrency_key IS NULL ${RETURNING}
  )
  ${SELECT_STARTED}
  UNION ALL
  SELECT n, NULL, id, NULL, NULL, NULL, run_at, concurrency_key, NULL, NULL, NULL, NULL, NULL, NULL
    FROM picked WHERE concurrency_key IS NOT NULL`

const START = `WITH picked AS MATERIALIZED (SELECT * FROM unnest($6::bigint[], $7::bigint[]) AS p (id, n)), started AS (
    ${STARTING} ${RETURNING}
  )
  ${SELECT_STARTED}`

const HOLD = 'UPDATE octoflow_requests SET stage = 2 WHERE id = ANY ($1::bigint[])'

const PROMOTE = `UPDATE octoflow_requests SET stage = CASE WHEN concurrency_key IS NULL THEN 0 ELSE 2 END
  WHERE id = ANY (ARRAY(SELECT id FROM octoflow_requests
    WHERE queue_id = $1 AND stage = 1 AND run_at <= $2 ORDER BY run_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED))
  RETURNING concurrency_key`

const LOCK_QUEUE = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = $1 FOR NO KEY UPDATE`

const SUM_RUNNING = 'SELECT coalesce(sum(running), 0) FROM octoflow_counts WHERE queue_id = $1'

const SELECT_NEXT_WAKE = 'SELECT min(wake_at) FROM octoflow_lanes WHERE queue_id = $1 AND wake_at IS NOT NULL'

const SELECT_ANY_READY = 'SELECT 1 FROM octoflow_requests WHERE queue_id = $1 AND stage = 0 LIMIT 1'
