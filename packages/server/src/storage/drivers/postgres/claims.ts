import type { Duration, Instant } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import { deadlineOf } from '../../../model/settle.ts'
import type { Claim, ClaimedJob } from '../../contract/leases.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import { Stage } from '../../sql/stages.ts'
import { PICK, PICK_FOR_ONE, START, START_FOR_ONE } from './claim-statements.ts'
import { type Keyed, Picked, type PickedRecord, type Started, type StartedRecord, toStarted } from './claimed.ts'
import type { Lane } from './lanes.ts'
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
    const inOrder = jobs.toSorted(
      (a, b) => (this.single ? 0 : a.n - b.n) || a.job.priority - b.job.priority || a.job.id - b.job.id,
    )
    for (const { n, job } of inOrder) {
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
  noteStarts(
    transaction,
    queueId,
    null,
    plain.map(({ job }) => job.runAt),
    now,
  )
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
  const shares = new Map<Lane, { left: number; readonly starting: Keyed[] }>()
  const laneOf = keyed.map(({ key }) => lanes.get(queueId, key))
  const wanted = [...new Set(laneOf)]
  await Promise.all([lanes.lock(), lanes.rates.read(wanted, now)])
  for (const lane of wanted) shares.set(lane, { left: lanes.placesIn(lane, now), starting: [] })
  const held: number[] = []
  for (const [index, job] of keyed.entries()) {
    const share = shares.get(laneOf[index]!)!
    if (share.left-- > 0) share.starting.push(job)
    else {
      transaction.move(queueId, job.key, Stage.ready, Stage.held)
      held.push(job.id)
    }
  }
  for (const [{ key }, { starting }] of shares)
    noteStarts(
      transaction,
      queueId,
      key,
      starting.map(({ runAt }) => runAt),
      now,
    )
  if (held.length > 0) transaction.send(HOLD, array(held))
  else lanes.leave(wanted)
  const starting = [...shares.values()].flatMap((share) => share.starting)
  const [row] = await transaction.rows<StartedRecord>(
    takers.single ? START_FOR_ONE : START,
    now,
    ...takers.parameters(),
    GRACE,
    array(starting.map(({ id }) => id)),
    array(starting.map(({ n }) => n)),
  )
  await lanes.balance(now)
  return toStarted(row!, settings)
}

/** Notes that jobs start, which could do so at certain times, `runAts`. */
export function noteStarts(
  transaction: Transaction,
  queueId: number,
  key: string | null,
  runAts: readonly Instant[],
  now: Instant,
  from: Stage = Stage.ready,
): void {
  if (runAts.length === 0) return
  transaction.move(queueId, key, from, Stage.running, runAts.length)
  transaction.lanes.rates.countStarts(queueId, key, now, runAts.length)
  const stats = transaction.stats(queueId, now)
  stats.started += runAts.length
  for (const runAt of runAts) stats.waited += Math.max(0, now - runAt)
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

/** What `deadlineOf` adds to a time-out. */
const GRACE: Duration = deadlineOf(0, 0)

const HOLD = 'UPDATE octoflow_requests SET stage = 2 WHERE id = ANY ($1::bigint[])'

const PROMOTE = `UPDATE octoflow_requests SET stage = CASE WHEN concurrency_key IS NULL THEN 0 ELSE 2 END
  WHERE id = ANY (ARRAY(SELECT id FROM octoflow_requests
    WHERE queue_id = $1 AND stage = 1 AND run_at <= $2 ORDER BY run_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED))
  RETURNING concurrency_key`

const LOCK_QUEUE = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = $1 FOR NO KEY UPDATE`

const SUM_RUNNING = 'SELECT coalesce(sum(running), 0) FROM octoflow_counts WHERE queue_id = $1'

const SELECT_NEXT_WAKE = 'SELECT min(wake_at) FROM octoflow_lanes WHERE queue_id = $1 AND wake_at IS NOT NULL'

const SELECT_ANY_READY = 'SELECT 1 FROM octoflow_requests WHERE queue_id = $1 AND stage = 0 LIMIT 1'
