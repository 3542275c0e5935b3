import { isDeepStrictEqual } from 'node:util'
import type { Duration, Instant } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import { deadlineOf } from '../../../model/settle.ts'
import type { Claim, ClaimedJob } from '../../contract/leases.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import type { ClaimCall } from '../../sql/leases.ts'
import type { QueueNames } from '../../sql/queue-names.ts'
import { QUEUE_COLUMNS, type QueueRecord } from '../../sql/queues.ts'
import { Stage } from '../../sql/stages.ts'
import { PICK, PICK_FOR_ONE } from './claim-statements.ts'
import { Picked, type PickedRecord, type Started } from './claimed.ts'
import type { Lane } from './lanes.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

const PROMOTE_AT_ONCE = 1_000

interface Round {
  readonly jobs: readonly Started[]
  readonly nextAt: Instant | null
  /** Whether there may be more to be had by another round. */
  readonly more: boolean
  /** Whether there was more than one answer can carry. */
  readonly cut: boolean
}

const NOTHING: Round = { jobs: [], nextAt: null, more: false, cut: false }
const AGAIN: Round = { ...NOTHING, more: true }

/** What the last claim of a queue found, by which the next one is begun. Nothing relies on it. */
interface Found {
  readonly settings: QueueSettings
  /** Whether it met jobs with concurrency keys. */
  readonly keyed: boolean
  /** Whether payloads were too many characters for one answer. */
  readonly heavy: boolean
}

type When = 'unless due' | 'whatever is due'

/** Hands out jobs. */
export class Claims {
  readonly #writer: Writer
  readonly #names: QueueNames
  readonly #found = new Map<string, Found>()

  constructor(writer: Writer, names: QueueNames) {
    this.#writer = writer
    this.#names = names
  }

  /** Claims for several callers at once; who comes first gets the better jobs. */
  async claim(queue: string, calls: readonly ClaimCall[]): Promise<readonly Claim[]> {
    const takers = new Takers(calls)
    for (let when: When = 'unless due'; ; when = 'whatever is due') {
      const round = await this.#round(queue, takers, when)
      // By a transaction of its own: a claim locks lanes, and jobs are locked before lanes are.
      if (round === 'due') await this.#writer.transact((transaction) => promote(transaction, queue, takers.now))
      else {
        takers.give(round)
        if (takers.wanted === 0 || !(round.more || round.cut)) return takers.claims(round.nextAt)
      }
    }
  }

  async #round(queue: string, takers: Takers, when: When): Promise<Round | 'due'> {
    const found = this.#found.get(queue)
    const alone = this.#names.idOf(queue) !== undefined && found !== undefined && !found.keyed && !isLimited(found.settings)
    const learn = (now: Found): void => {
      this.#found.set(queue, now)
    }
    try {
      // Who is not told what a claim gave is as badly off as if it had not been made, and claims again.
      const options = { alone, repeatable: alone }
      return await this.#writer.transact(
        (transaction) => take(transaction, queue, takers, { when, alone, found, learn }),
        options,
      )
    } catch (error) {
      if (!(error instanceof Crowded)) throw error
      await this.#writer.transact((transaction) => error.balance(transaction, takers.now))
      return AGAIN
    }
  }
}

/** More jobs of some keys were ready than may start. The claim comes to nothing, and their lanes are balanced. */
class Crowded extends Error {
  readonly #lanes: readonly Lane[]

  constructor(lanes: readonly Lane[]) {
    super('more jobs were ready than may start')
    this.#lanes = lanes
  }

  balance({ lanes }: Transaction, now: Instant): Promise<void> {
    for (const { queueId, key } of this.#lanes) lanes.touch(queueId, key)
    return lanes.balance(now)
  }
}

const isLimited = ({ concurrency, rateLimit }: QueueSettings): boolean => concurrency !== null || rateLimit !== null

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

interface Way {
  readonly when: When
  /** Whether all is to be done by one statement, which starts no keyed jobs. */
  readonly alone: boolean
  readonly found: Found | undefined
  readonly learn: (found: Found) => void
}

/** Takes what is ready, or says that something is due that must be made ready before. */
async function take(transaction: Transaction, name: string, takers: Takers, way: Way): Promise<Round | 'due'> {
  const { now, wanted } = takers
  const { alone, found } = way
  const queueId = (await transaction.findQueues([name])).get(name)
  if (queueId === undefined) return NOTHING
  const skipDue = way.when === 'whatever is due'
  const skipLimits = found !== undefined && isLimited(found.settings)
  const room = skipLimits ? await lockRoom(transaction, queueId, wanted, found.settings, now) : wanted
  const picked = await pick(transaction, queueId, takers, room, { skipDue, skipLimits, alone, heavy: found?.heavy === true })
  const [nextDue, nextWake, ...record] = picked.state
  const settings = transaction.learn(record)
  const jobs = picked.started(settings)
  const none = jobs.length === 0 && !picked.keyed && !picked.cut
  way.learn({ settings, keyed: picked.keyed || (none && found?.keyed === true), heavy: picked.cut })
  if (alone && picked.keyed) return AGAIN
  if (none) {
    if (settings.paused) return NOTHING
    if (!skipDue && isDue(nextDue, now, nextWake)) return 'due'
    if (!skipLimits && isLimited(settings)) return AGAIN
  }
  await countStarts(transaction, queueId, picked, jobs, now)
  // Jobs beyond what one answer can carry were locked all the same, and passed by by others.
  if (picked.cut) transaction.change(queueId).becameReady++
  const wake = picked.keyed && settings.keyRateLimit !== null ? 'changed' : nextWake
  const nextAt =
    jobs.length < wanted && !alone ? await nextTry(transaction, queueId, nextDue, wake, now) : earliest(nextDue, nextWake)
  return { jobs, nextAt, more: false, cut: picked.cut }
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

/** Locks a queue whose limits count. @returns how many of its jobs may start. */
async function lockRoom(
  transaction: Transaction,
  queueId: number,
  wanted: number,
  expected: QueueSettings,
  now: Instant,
): Promise<number> {
  const { rates } = transaction.lanes
  // All at once; what is found later than the lock is what holds.
  const [{ concurrency, rateLimit }, running] = await Promise.all([
    lockQueue(transaction, queueId),
    runningIn(transaction, queueId),
    rates.readQueue(queueId, now, expected.rateLimit),
  ])
  if (!isDeepStrictEqual(rateLimit, expected.rateLimit)) {
    rates.forgetQueue(queueId)
    await rates.readQueue(queueId, now)
  }
  const places = concurrency === null ? wanted : Math.min(wanted, concurrency - running)
  return Math.max(0, Math.min(places, rates.ofQueue(queueId, now).free))
}

export async function runningIn(transaction: Transaction, queueId: number): Promise<number> {
  return (await transaction.rows<[number]>(SUM_RUNNING, queueId))[0]![0]
}

/** Locks ready jobs, and starts them. */
async function pick(
  transaction: Transaction,
  queueId: number,
  takers: Takers,
  limit: number,
  how: { readonly skipDue: boolean; readonly skipLimits: boolean; readonly alone: boolean; readonly heavy: boolean },
): Promise<Picked> {
  const { slot } = transaction
  const parameters = [takers.now, ...takers.parameters(), GRACE, queueId, limit, CHARACTERS_AT_ONCE] as const
  const values = [...parameters, how.skipDue, how.skipLimits, slot] as const
  const statements = takers.single && !how.heavy ? PICK_FOR_ONE : PICK
  const [row] = await transaction.rows<PickedRecord>(statements[how.alone ? 'left' : 'taken'], ...values)
  return new Picked(row!)
}

/** Notes the jobs that a claim started, and sees that no key has more of them than it may. */
async function countStarts(
  transaction: Transaction,
  queueId: number,
  picked: Picked,
  jobs: readonly Started[],
  now: Instant,
): Promise<void> {
  const { lanes } = transaction
  const counts = new Map<string | null, number>()
  if (!picked.keyed) counts.set(null, jobs.length)
  else for (const { job } of jobs) counts.set(job.concurrencyKey, (counts.get(job.concurrencyKey) ?? 0) + 1)
  for (const record of picked.lanes) lanes.learn(record)
  const wanted = [...counts.keys()].flatMap((key) => (key === null ? [] : [lanes.get(queueId, key)]))
  await Promise.all([lanes.lock(), lanes.rates.read(wanted, now)])
  const crowded = wanted.filter((lane) => counts.get(lane.key)! > lanes.placesIn(lane, now))
  if (crowded.length > 0) throw new Crowded(crowded)
  for (const [key, count] of counts) {
    if (key !== null) lanes.move(queueId, key, Stage.ready, Stage.running, count)
    if (count > 0) lanes.rates.countStarts(queueId, key, now, count)
  }
  lanes.leave(wanted)
  await lanes.balance(now)
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
  return earliest(...times)
}

function earliest(...times: readonly (Instant | null)[]): Instant | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/** What `deadlineOf` adds to a time-out. */
const GRACE: Duration = deadlineOf(0, 0)

const PROMOTE = `UPDATE octoflow_requests SET stage = CASE WHEN concurrency_key IS NULL THEN 0 ELSE 2 END
  WHERE id = ANY (ARRAY(SELECT id FROM octoflow_requests
    WHERE queue_id = $1 AND stage = 1 AND run_at <= $2 ORDER BY run_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED))
  RETURNING concurrency_key`

const LOCK_QUEUE = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = $1 FOR NO KEY UPDATE`

const SUM_RUNNING = 'SELECT coalesce(sum(running), 0) FROM octoflow_counts WHERE queue_id = $1'

const SELECT_NEXT_WAKE = 'SELECT min(wake_at) FROM octoflow_lanes WHERE queue_id = $1 AND wake_at IS NOT NULL'

const SELECT_ANY_READY = 'SELECT 1 FROM octoflow_requests WHERE queue_id = $1 AND stage = 0 LIMIT 1'
