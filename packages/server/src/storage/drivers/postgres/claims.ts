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
import { array, numbers, numbersOrNull, textArray, texts } from './values.ts'
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
  readonly jobs: readonly Started[]
  readonly nextAt: Instant | null
  /** Whether jobs had to be passed over, so that there may be others behind them. */
  readonly passedOver: boolean
  /** Whether there was more than one answer can carry. */
  readonly cut: boolean
}

const NOTHING: Round = { jobs: [], nextAt: null, passedOver: false, cut: false }

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
    if (takers.wanted === 0 || !(round.passedOver || round.cut)) return takers.claims(round.nextAt)
    round = await writer.transact((transaction) => take(transaction, queue, takers, 'whatever is due'))
  }
  throw new Error('what is due was made ready already')
}

/** Those who claim together, and what each has got so far. */
class Takers {
  readonly now: Instant
  readonly #calls: readonly ClaimCall[]
  readonly #jobs: ClaimedJob[][]
  /** How many jobs each still wants. */
  readonly #left: number[]

  constructor(calls: readonly ClaimCall[]) {
    this.now = Math.max(...calls.map(({ now }) => now))
    this.#calls = calls
    this.#jobs = calls.map(() => [])
    this.#left = calls.map(({ limit }) => limit)
  }

  get wanted(): number {
    return this.#left.reduce((sum, left) => sum + left, 0)
  }

  get single(): boolean {
    return this.#calls.length === 1
  }

  /** Whose is the nth job: the first of each, its worker and the end of its lease. */
  parameters(): readonly [firsts: string, workers: string, untils: string] {
    const firsts: number[] = []
    let first = 1
    for (const left of this.#left) {
      firsts.push(first)
      first += left
    }
    return [
      array(firsts),
      textArray(this.#calls.map(({ worker }) => worker)),
      array(this.#calls.map(({ lease }) => this.now + lease)),
    ]
  }

  give({ jobs, cut }: Round): void {
    const left = [...this.#left]
    let taker = 0
    let end = left[0]!
    for (const { n, job } of jobs.toSorted((a, b) => a.n - b.n || a.job.priority - b.job.priority || a.job.id - b.job.id)) {
      while (n > end) end += left[++taker]!
      this.#jobs[taker]!.push(job)
      this.#left[taker]!--
    }
    // Who got some does not get more than one answer can carry; who got none has another try.
    if (cut) for (const [index, got] of this.#jobs.entries()) if (got.length > 0) this.#left[index] = 0
  }

  claims(nextAt: Instant | null): Claim[] {
    return this.#calls.map(({ limit }, index) => {
      const jobs = this.#jobs[index]!
      return { jobs, nextAt: jobs.length < limit ? nextAt : null }
    })
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
  let picked = await pick(transaction, queueId, takers, takers.wanted, { skipDue, skipLimits: false })
  const [nextDue, nextWake, ...record] = picked.state
  let settings = transaction.learn(record)
  if (picked.count === 0) {
    if (settings.paused) return NOTHING
    if (!skipDue && isDue(nextDue, now, nextWake)) return 'due'
    if (settings.concurrency !== null || settings.rateLimit !== null) {
      settings = await lockQueue(transaction, queueId)
      const room = await roomOf(transaction, queueId, takers.wanted, now)
      if (settings.paused) return NOTHING
      if (room > 0) picked = await pick(transaction, queueId, takers, room, { skipDue: true, skipLimits: true })
    }
  }

  const plain = picked.started(settings)
  noteStarts(transaction, queueId, null, plain, now)
  const jobs = [...plain, ...(await startKeyed(transaction, queueId, picked.keyed(), takers, settings))]
  // Jobs beyond what one answer can carry were locked all the same, and passed by by others.
  if (picked.cut) transaction.change(queueId).becameReady++
  const wake = jobs.length > plain.length || picked.count > plain.length ? 'changed' : nextWake
  const nextAt = jobs.length < takers.wanted ? await nextTry(transaction, queueId, nextDue, wake, now) : null
  return { jobs, nextAt, passedOver: jobs.length < picked.count, cut: picked.cut }
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
async function pick(
  transaction: Transaction,
  queueId: number,
  takers: Takers,
  limit: number,
  { skipDue, skipLimits }: { readonly skipDue: boolean; readonly skipLimits: boolean },
): Promise<Picked> {
  const values = [takers.now, ...takers.parameters(), GRACE, queueId, limit, CHARACTERS_AT_ONCE, skipDue, skipLimits] as const
  if (takers.single) {
    const [row] = await transaction.rows<PickedRecord>(PICK_FOR_ONE, ...values)
    const picked = new Picked(row!)
    if (!picked.cut) return picked
  }
  const [row] = await transaction.rows<PickedRecord>(PICK, ...values)
  return new Picked(row!)
}

/** Starts locked jobs whose concurrency key has room, and holds back the others. */
async function startKeyed(
  transaction: Transaction,
  queueId: number,
  keyed: readonly Keyed[],
  takers: Takers,
  settings: QueueSettings,
): Promise<readonly Started[]> {
  if (keyed.length === 0) return []
  const { lanes } = transaction
  const { now } = takers
  const wanted = keyed.map(({ key }) => lanes.get(queueId, key))
  await Promise.all([lanes.lock(), lanes.rates.read(wanted, now)])
  const starting: Keyed[] = []
  const held: number[] = []
  for (const [index, job] of keyed.entries()) {
    if (lanes.mayStart(wanted[index]!, now)) {
      noteStart(transaction, queueId, job.key, job.runAt, now)
      starting.push(job)
    } else {
      transaction.move(queueId, job.key, Stage.ready, Stage.held)
      held.push(job.id)
    }
  }
  if (held.length > 0) transaction.send(HOLD, array(held))
  else lanes.leave(wanted)
  const ids = array(starting.map(({ id }) => id))
  const [row] = await transaction.rows<StartedRecord>(
    START,
    now,
    ...takers.parameters(),
    GRACE,
    ids,
    array(starting.map(({ n }) => n)),
  )
  await lanes.balance(now)
  return toStarted(row!, settings)
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
  transaction.lanes.rates.countStarts(queueId, key, now)
  const stats = transaction.stats(queueId, now)
  stats.started++
  stats.waited += Math.max(0, now - runAt)
}

function noteStarts(transaction: Transaction, queueId: number, key: null, started: readonly Started[], now: Instant): void {
  if (started.length === 0) return
  transaction.move(queueId, key, Stage.ready, Stage.running, started.length)
  transaction.lanes.rates.countStarts(queueId, key, now, started.length)
  const stats = transaction.stats(queueId, now)
  stats.started += started.length
  for (const { job } of started) stats.waited += Math.max(0, now - job.runAt)
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

/** Columns of the jobs started, each as an array: a row for each would cost the client several times as much. */
type StartedRecord = readonly [
  ns: string | null,
  ids: string,
  attempts: string,
  fences: string,
  priorities: string,
  createdAts: string,
  runAts: string,
  leaseUntils: string,
  timeouts: string | null,
  maxAttempts: string | null,
  keys: string | null,
  options: string | null,
  metas: string | null,
  payloads: string,
]

/** The jobs started, the jobs locked whose keys are still to be asked, and whether there are too many characters for them all. */
type PickedRecord = readonly [
  ...StartedRecord,
  keyedNs: string | null,
  keyedIds: string,
  keyedRunAts: string,
  keyedKeys: string,
  cut: boolean,
  ...QueueState,
]

const STARTED_COLUMNS = 14

interface Keyed {
  readonly n: number
  readonly id: number
  readonly runAt: Instant
  readonly key: string
}

interface Started {
  /** Its place among all that are claimed together. */
  readonly n: number
  readonly job: ClaimedJob
}

class Picked {
  readonly cut: boolean
  readonly count: number
  readonly #record: PickedRecord

  constructor(record: PickedRecord) {
    this.#record = record
    this.cut = record[STARTED_COLUMNS + 4] as boolean
    this.count = [record[0], record[STARTED_COLUMNS]].reduce(
      (sum, ns) => sum + (ns == null ? 0 : numbers(ns as string).length),
      0,
    )
  }

  get state(): QueueState {
    return this.#record.slice(STARTED_COLUMNS + 5) as unknown as QueueState
  }

  started(settings: QueueSettings): readonly Started[] {
    return toStarted(this.#record as unknown as StartedRecord, settings)
  }

  keyed(): readonly Keyed[] {
    const [ns, ids, runAts, keys] = this.#record.slice(STARTED_COLUMNS) as [string | null, string, string, string]
    if (ns === null) return []
    const [idsOf, runAtsOf, keysOf] = [numbers(ids), numbers(runAts), texts(keys)]
    return numbers(ns).map((n, index) => ({ n, id: idsOf[index]!, runAt: runAtsOf[index]!, key: keysOf[index]! }))
  }
}

function toStarted(record: StartedRecord, settings: QueueSettings): readonly Started[] {
  if (record[0] === null) return []
  const columns = new Columns(record, settings)
  return numbers(record[0]).map((n, index) => ({ n, job: new Claimed(columns, index) }))
}

const some = (text: string | null): readonly (number | null)[] | null => (text === null ? null : numbersOrNull(text))

/** What is `null` is so for all jobs, as it mostly is. */
class Columns {
  readonly settings: QueueSettings
  readonly ids: readonly number[]
  readonly attempts: readonly number[]
  readonly fences: readonly number[]
  readonly priorities: readonly number[]
  readonly createdAts: readonly Instant[]
  readonly runAts: readonly Instant[]
  readonly leaseUntils: readonly Instant[]
  readonly timeouts: readonly (Duration | null)[] | null
  readonly maxAttempts: readonly (number | null)[] | null
  readonly keys: readonly (string | null)[] | null
  readonly options: readonly (string | null)[] | null
  readonly metas: readonly (string | null)[] | null
  readonly payloads: readonly string[]

  constructor(record: StartedRecord, settings: QueueSettings) {
    this.settings = settings
    this.ids = numbers(record[1])
    this.attempts = numbers(record[2])
    this.fences = numbers(record[3])
    this.priorities = numbers(record[4])
    this.createdAts = numbers(record[5])
    this.runAts = numbers(record[6])
    this.leaseUntils = numbers(record[7])
    this.timeouts = some(record[8])
    this.maxAttempts = some(record[9])
    this.keys = record[10] === null ? null : texts(record[10])
    this.options = record[11] === null ? null : texts(record[11])
    this.metas = record[12] === null ? null : texts(record[12])
    this.payloads = texts(record[13])
  }
}

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

  constructor(columns: Columns, at: number) {
    this.id = columns.ids[at]!
    this.fence = columns.fences[at]!
    this.leaseUntil = columns.leaseUntils[at]!
    this.attempt = columns.attempts[at]!
    const maxAttempts = columns.maxAttempts?.[at] ?? null
    this.maxAttempts = retryPolicy({ maxAttempts, backoff: null }, columns.settings).maxAttempts
    this.priority = columns.priorities[at]!
    this.createdAt = columns.createdAts[at]!
    this.runAt = columns.runAts[at]!
    this.timeout = columns.timeouts?.[at] ?? null
    this.concurrencyKey = columns.keys?.[at] ?? null
    this.labels = parseOptions(columns.options?.[at] ?? null).labels ?? NO_LABELS
    this.payload = columns.payloads[at]!
    this.#meta = columns.metas?.[at] ?? null
  }

  get request(): Meta {
    return parseMeta(this.#meta)
  }
}

const NO_LABELS: Labels = Object.freeze({})

/** What `deadlineOf` adds to a time-out. */
const GRACE: Duration = deadlineOf(0, 0)

// In the queries on pending jobs `stage` is a literal: a plan made for any value would not know which partial index serves.

const STATE = `SELECT
    (SELECT run_at FROM octoflow_requests WHERE queue_id = $6 AND stage = 1 ORDER BY run_at LIMIT 1) AS next_due,
    (SELECT wake_at FROM octoflow_lanes WHERE queue_id = $6 AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1) AS next_wake,
    ${QUEUE_COLUMNS}
  FROM octoflow_queues q WHERE q.id = $6`

// $1 now, $2 firsts, $3 workers, $4 untils, $5 grace: the parameters of all statements that start jobs. `picked` has their id
// and their place among those that are picked, of which width_bucket tells whose they are.
const starting = (
  taker: string,
  row: string,
): string => `UPDATE octoflow_requests r SET stage = 3, attempt = r.attempt + 1, fence = r.fence + 1,
    status_label = NULL, progress = NULL, started_at = $1::bigint, worker = ($3::text[])[${taker}],
    deadline = $1::bigint + r.timeout + $5::bigint,
    lease_until = least(($4::bigint[])[${taker}], $1::bigint + r.timeout + $5::bigint)
  FROM picked WHERE ${row}`

const OF_MANY = 'width_bucket(picked.n, $2::bigint[])'
const OF_ONE = '1'

// A row that is locked stays where it is: finding it by its place spares a descent of the index.
const LOCKED_ROW = 'r.ctid = picked.ctid'

const RETURNING = `RETURNING picked.n, r.id, r.attempt, r.fence, r.priority, r.received_at, r.run_at, r.lease_until, r.timeout,
  r.max_attempts, r.concurrency_key, r.options, r.meta, r.body, r.revised`

const unlessAllNull = (column: string, aggregate: string): string =>
  `CASE WHEN count(${column}) > 0 THEN ${aggregate}(${column}) END`

// Subqueries that are fenced off by OFFSET are run for those rows alone that have something there.
const STARTED = `SELECT array_agg(n), array_agg(id), array_agg(attempt), array_agg(fence), array_agg(priority),
    array_agg(received_at), array_agg(run_at), array_agg(lease_until), ${unlessAllNull('timeout', 'array_agg')},
    ${unlessAllNull('max_attempts', 'array_agg')}, ${unlessAllNull('concurrency_key', 'json_agg')},
    ${unlessAllNull('options', 'json_agg')}, ${unlessAllNull('meta', 'json_agg')}, json_agg(payload)
  FROM (
    SELECT s.n, s.id, s.attempt, s.fence, s.priority, s.received_at, s.run_at, s.lease_until, s.timeout, s.max_attempts,
      s.concurrency_key, s.options, CASE WHEN s.body IS NULL THEN b.meta ELSE s.meta END AS meta,
      coalesce(p.body, s.body, b.body) AS payload
    FROM started s
    LEFT JOIN LATERAL (SELECT meta, body FROM octoflow_bodies WHERE id = s.id AND s.body IS NULL OFFSET 0) AS b ON true
    LEFT JOIN LATERAL (SELECT body FROM octoflow_payloads WHERE job_id = s.id AND s.revised OFFSET 0) AS p ON true
  ) AS job`

const KEYED = `SELECT array_agg(n), array_agg(id), array_agg(run_at), json_agg(concurrency_key) FROM picked WHERE concurrency_key IS NOT NULL`

// $6 queue, $7 limit, $8 characters, $9 whatever is due, $10 whatever the limits. The claim is part of the statement that looks
// whether it may be made, so that a change of the settings comes either before or after it.
const LOCKED = `SELECT ctid, id, priority, run_at, concurrency_key, size FROM octoflow_requests
     WHERE queue_id = $6 AND stage = 0 ORDER BY priority, id
     LIMIT (SELECT CASE WHEN NOT q.paused
         AND ($10::boolean OR (q.concurrency IS NULL AND q.rate_limit IS NULL))
         AND ($9::boolean OR NOT EXISTS (SELECT FROM octoflow_requests WHERE queue_id = $6 AND stage = 1 AND run_at <= $1::bigint)
           AND NOT EXISTS (SELECT FROM octoflow_lanes WHERE queue_id = $6 AND wake_at IS NOT NULL AND wake_at <= $1::bigint))
         THEN $7::bigint ELSE 0 END FROM octoflow_queues q WHERE q.id = $6)
     FOR NO KEY UPDATE SKIP LOCKED`

const PICK = `WITH locked AS MATERIALIZED (${LOCKED}), ranked AS (
    SELECT *, row_number() OVER w AS n, sum(size) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM locked WINDOW w AS (ORDER BY priority, id)
  ), picked AS MATERIALIZED (
    SELECT * FROM ranked WHERE before IS NULL OR before < $8::bigint
  ), started AS (
    ${starting(OF_MANY, LOCKED_ROW)} AND picked.concurrency_key IS NULL ${RETURNING}
  )
  SELECT started.*, keyed.*, (SELECT count(*) FROM picked) < (SELECT count(*) FROM locked), state.*
    FROM (${STARTED}) AS started, (${KEYED}) AS keyed, (${STATE}) AS state`

// For one caller it does not matter whose is which. Where the payloads may be too large together it takes nothing.
const PICK_FOR_ONE = `WITH locked AS MATERIALIZED (${LOCKED}), picked AS MATERIALIZED (
    SELECT *, 1 AS n FROM locked WHERE (SELECT coalesce(sum(size), 0) FROM locked) < $8::bigint
  ), started AS (
    ${starting(OF_ONE, LOCKED_ROW)} AND picked.concurrency_key IS NULL AND $2::bigint[] IS NOT NULL ${RETURNING}
  )
  SELECT started.*, keyed.*, (SELECT coalesce(sum(size), 0) FROM locked) >= $8::bigint, state.*
    FROM (${STARTED}) AS started, (${KEYED}) AS keyed, (${STATE}) AS state`

const START = `WITH picked AS MATERIALIZED (SELECT * FROM unnest($6::bigint[], $7::bigint[]) AS p (id, n)), started AS (
    ${starting(OF_MANY, 'r.id = picked.id')} ${RETURNING}
  )
  ${STARTED}`

const HOLD = 'UPDATE octoflow_requests SET stage = 2 WHERE id = ANY ($1::bigint[])'

const PROMOTE = `UPDATE octoflow_requests SET stage = CASE WHEN concurrency_key IS NULL THEN 0 ELSE 2 END
  WHERE id = ANY (ARRAY(SELECT id FROM octoflow_requests
    WHERE queue_id = $1 AND stage = 1 AND run_at <= $2 ORDER BY run_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED))
  RETURNING concurrency_key`

const LOCK_QUEUE = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = $1 FOR NO KEY UPDATE`

const SUM_RUNNING = 'SELECT coalesce(sum(running), 0) FROM octoflow_counts WHERE queue_id = $1'

const SELECT_NEXT_WAKE = 'SELECT min(wake_at) FROM octoflow_lanes WHERE queue_id = $1 AND wake_at IS NOT NULL'

const SELECT_ANY_READY = 'SELECT 1 FROM octoflow_requests WHERE queue_id = $1 AND stage = 0 LIMIT 1'
