import type { Duration, Instant } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import { deadlineOf } from '../../../model/settle.ts'
import type { Claim } from '../../contract/leases.ts'
import type { ClaimCall } from '../../sql/leases.ts'
import { Stage } from '../../sql/stages.ts'
import { type Content, type Contents, type PickedRecord, type Share, Takers } from './claimed.ts'
import type { Lane } from './lanes.ts'
import { QUEUE_COLUMNS, type QueueRecord, reviewOf } from './queue-rows.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

const PROMOTE_AT_ONCE = 1_000

/** Jobs that claims hold back, because a new limit keeps them from starting, before they are answered with what there is. */
const HOLD_AT_ONCE = 500

/** What one transaction takes. */
interface Round {
  readonly jobs: readonly Share[]
  /** Comes with the commit. */
  readonly contents: Promise<Contents>
  readonly settings: QueueSettings | null
  readonly nextAt: Instant | null
  /** How many jobs had to be held back, so that there may be others behind them. */
  readonly held: number
}

const NOTHING: Round = { jobs: [], contents: Promise.resolve(new Map()), settings: null, nextAt: null, held: 0 }

/**
 * Claims for several callers at once; who comes first gets the better jobs.
 * @param limited queues that were found to have limits, and are therefore locked; kept up to date.
 */
export async function claim(
  writer: Writer,
  limited: Set<string>,
  queue: string,
  calls: readonly ClaimCall[],
): Promise<readonly Claim[]> {
  const takers = new Takers(calls)
  let promoted = false
  let held = 0
  while (true) {
    const alone = limited.has(queue)
    const round = await writer.transact((transaction) => take(transaction, queue, takers, { promoted, alone }))
    if (round === 'limited') limited.add(queue)
    else if (round === 'due') {
      // By a transaction of its own: this one locks lanes, and jobs are locked before lanes are.
      await writer.transact((transaction) => promote(transaction, queue, takers.now))
      promoted = true
    } else {
      if (alone && !isLimited(round.settings)) limited.delete(queue)
      if (round.settings !== null) takers.give(round.jobs, round.settings, await round.contents)
      held += round.held
      if (round.held === 0 || takers.wanted === 0) return takers.claims(round.nextAt)
      if (held >= HOLD_AT_ONCE) return takers.claims(takers.now)
    }
  }
}

const isLimited = (settings: QueueSettings | null): boolean =>
  settings !== null && (settings.concurrency !== null || settings.rateLimit !== null)

/** Takes what is ready, or says what is to be done before. @param alone whether the queue is locked, as its limits need it. */
async function take(
  transaction: Transaction,
  name: string,
  takers: Takers,
  { promoted, alone }: { readonly promoted: boolean; readonly alone: boolean },
): Promise<Round | 'due' | 'limited'> {
  const { now, wanted } = takers
  const queueId = (await transaction.findQueues([name])).get(name)
  if (queueId === undefined) return NOTHING
  const [state, unlimited] = await Promise.all([
    readState(transaction, queueId, alone),
    alone ? [] : transaction.rows<PickedRecord>(PICK, queueId, wanted),
  ])
  const { settings } = state
  if (settings.paused) return NOTHING
  if (!promoted && isDue(state, now)) return 'due'
  if (!alone && isLimited(settings)) return 'limited'
  const room = alone ? await roomOf(transaction, queueId, wanted, now) : 0
  const picked = room > 0 ? await transaction.rows<PickedRecord>(PICK, queueId, room) : unlimited
  const shares = takers.share(picked)
  // Jobs beyond what the answers can carry were locked all the same, and passed by by others.
  if (shares.length < picked.length) transaction.change(queueId).becameReady++
  const jobs = await startShares(transaction, queueId, shares, now)
  const contents = readContents(transaction, jobs)
  contents.catch(() => {})
  await transaction.lanes.balance(now)
  const nextAt = jobs.length < wanted ? await nextTry(transaction, queueId, state, now) : null
  return { jobs, contents, settings, nextAt, held: shares.length - jobs.length }
}

interface State {
  readonly settings: QueueSettings
  readonly nextDue: Instant | null
  readonly nextWake: Instant | null
  /** Whether lanes have yet to be looked at under new limits. */
  readonly reviewing: boolean
}

/** Looks at a queue, whose settings stay as they are until the commit: a change of them comes either before a claim or after it. */
async function readState(transaction: Transaction, queueId: number, alone: boolean): Promise<State> {
  const [records, due, wake] = await Promise.all([
    transaction.rows<QueueRecord>(alone ? LOCK_QUEUE : SHARE_QUEUE, queueId),
    transaction.rows<[Instant]>(SELECT_NEXT_DUE, queueId),
    transaction.rows<[Instant]>(SELECT_NEXT_WAKE, queueId),
  ])
  const settings = transaction.learn(records[0]!)
  const reviewing = reviewOf(records[0]!) !== null
  return { settings, nextDue: due[0]?.[0] ?? null, nextWake: wake[0]?.[0] ?? null, reviewing }
}

const isDue = ({ nextDue, nextWake, reviewing }: State, now: Instant): boolean =>
  reviewing || (nextDue !== null && nextDue <= now) || (nextWake !== null && nextWake <= now)

/** Frees the scheduled jobs that are due, and the lanes whose time has come. */
async function promote(transaction: Transaction, name: string, now: Instant): Promise<void> {
  const queueId = (await transaction.findQueues([name])).get(name)!
  const [record] = await transaction.rows<QueueRecord>(LOCK_QUEUE, queueId)
  transaction.learn(record!)
  const due = await transaction.rows<[number, string | null]>(LOCK_DUE, queueId, now, PROMOTE_AT_ONCE)
  if (due.length > 0)
    transaction.send(
      PROMOTE,
      due.map(([id]) => id),
    )
  for (const [, key] of due) transaction.move(queueId, key, Stage.scheduled, key === null ? Stage.ready : Stage.held)
  await transaction.lanes.touchDue(queueId, reviewOf(record!), now)
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

/** Starts the jobs, but for those whose concurrency key has no room: they are held back. */
async function startShares(
  transaction: Transaction,
  queueId: number,
  shares: readonly Share[],
  now: Instant,
): Promise<readonly Share[]> {
  const { lanes } = transaction
  const laneOf = new Map<Share, Lane>()
  for (const share of shares) if (share.job[6] !== null) laneOf.set(share, lanes.get(queueId, share.job[6]))
  const keyed = [...new Set(laneOf.values())]
  if (keyed.length > 0) {
    await lanes.lock()
    await lanes.rates.read(keyed, now)
  }
  const left = new Map(keyed.map((lane) => [lane, lanes.placesIn(lane, now)]))
  const started: Share[] = []
  const held: number[] = []
  for (const share of shares) {
    const lane = laneOf.get(share)
    const places = lane === undefined ? Number.POSITIVE_INFINITY : left.get(lane)!
    if (places > 0) {
      if (lane !== undefined) left.set(lane, places - 1)
      started.push(share)
    } else {
      transaction.move(queueId, share.job[6], Stage.ready, Stage.held)
      held.push(share.job[0])
    }
  }
  for (const [key, of] of Map.groupBy(started, ({ job }) => job[6])) {
    const runAts = of.map(({ job }) => job[5])
    noteStarts(transaction, queueId, key, runAts, now)
  }
  if (held.length > 0) transaction.send(HOLD, held)
  else lanes.leave(keyed)
  for (const of of Map.groupBy(started, ({ worker, until }) => `${until} ${worker}`).values()) {
    const { worker, until } = of[0]!
    const ids = of.map(({ job }) => job[0])
    transaction.send(START, now, worker, now, GRACE, until, now, GRACE, until, ids)
  }
  return started
}

/** Reads, with the commit, what stands apart from the rows of jobs. */
async function readContents(transaction: Transaction, jobs: readonly Share[]): Promise<Contents> {
  const apart = jobs.flatMap(({ job }) => (job[12] === null ? [job[0]] : []))
  const revised = jobs.flatMap(({ job }) => (job[13] === 1 ? [job[0]] : []))
  const [bodies, payloads] = await Promise.all([
    apart.length === 0 ? [] : transaction.later<[number, string | null, string]>(SELECT_BODIES, apart),
    revised.length === 0 ? [] : transaction.later<[number, string]>(SELECT_PAYLOADS, revised),
  ])
  const contents = new Map<number, Content>()
  for (const [id, meta, body] of bodies) contents.set(id, { meta, body, payload: null })
  for (const [id, payload] of payloads) contents.set(id, { meta: null, body: null, ...contents.get(id), payload })
  return contents
}

/** Notes that jobs start, which could do so at certain times, `runAts`. */
function noteStarts(
  transaction: Transaction,
  queueId: number,
  key: string | null,
  runAts: readonly Instant[],
  now: Instant,
): void {
  transaction.move(queueId, key, Stage.ready, Stage.running, runAts.length)
  transaction.lanes.rates.countStarts(queueId, key, now, runAts.length)
  const stats = transaction.stats(queueId, now)
  stats.started += runAts.length
  for (const runAt of runAts) stats.waited += Math.max(0, now - runAt)
}

async function nextTry(
  transaction: Transaction,
  queueId: number,
  { nextDue, nextWake, reviewing }: State,
  now: Instant,
): Promise<Instant | null> {
  if (reviewing) return now
  const { lanes } = transaction
  const wakes = lanes.save() ? await transaction.rows<[Instant]>(SELECT_NEXT_WAKE, queueId) : [[nextWake]]
  const rateNextAt = lanes.rates.ofQueue(queueId, now).nextAt
  const rated = rateNextAt !== null && (await transaction.rows(SELECT_ANY_READY, queueId)).length > 0
  const known = [nextDue, wakes[0]?.[0] ?? null, rated ? rateNextAt : null].filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/** What `deadlineOf` adds to a time-out. */
const GRACE: Duration = deadlineOf(0, 0)

// The order is that of the index, so that no row is read, and locked, beyond those that are taken.
const PICK = `SELECT id, attempt, fence, priority, received_at, run_at, concurrency_key, timeout, max_attempts, options, size,
    meta, body, revised
  FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = 0 ORDER BY place, id LIMIT ? FOR UPDATE SKIP LOCKED`

// Without a time-out `? + timeout + ?` is NULL.
const START = `UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET stage = 3, attempt = attempt + 1, fence = fence + 1, status_label = NULL,
    progress = NULL, started_at = ?, worker = ?, deadline = ? + timeout + ?,
    lease_until = LEAST(?, COALESCE(? + timeout + ?, ?))
  WHERE id IN (?)`

const SELECT_BODIES = 'SELECT id, meta, body FROM octoflow_bodies WHERE id IN (?)'

const SELECT_PAYLOADS = 'SELECT job_id, body FROM octoflow_payloads WHERE job_id IN (?)'

const HOLD = 'UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET stage = 2 WHERE id IN (?)'

const LOCK_DUE = `SELECT id, concurrency_key FROM octoflow_requests FORCE INDEX (octoflow_requests_due)
  WHERE due_queue = ? AND due_at <= ? ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED`

const PROMOTE = 'UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET stage = IF(concurrency_key IS NULL, 0, 2) WHERE id IN (?)'

const SHARE_QUEUE = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = ? LOCK IN SHARE MODE`

const LOCK_QUEUE = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = ? FOR UPDATE`

const SUM_RUNNING = 'SELECT COALESCE(SUM(running), 0) FROM octoflow_counts WHERE queue_id = ?'

const SELECT_NEXT_DUE = `SELECT due_at FROM octoflow_requests FORCE INDEX (octoflow_requests_due)
  WHERE due_queue = ? ORDER BY due_at LIMIT 1`

const SELECT_NEXT_WAKE = `SELECT wake_at FROM octoflow_lanes FORCE INDEX (octoflow_lanes_waking)
  WHERE queue_id = ? AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1`

const SELECT_ANY_READY = `SELECT 1 FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = 0 LIMIT 1`
