import { type Duration, type Instant, MILLISECOND } from '../../../lib/time.ts'
import type { Places } from '../../sql/rate-usage.ts'
import type { LaneCounts } from '../../sql/room.ts'
import { Stage } from '../../sql/stages.ts'
import { RateUsage } from './rate-usage.ts'
import type { Transaction } from './transaction.ts'

/** A concurrency key in use. Until it is locked, the counts are what the transaction adds. */
export interface Lane {
  readonly queueId: number
  readonly key: string
  running: number
  ready: number
  held: number
  wakeAt: Instant | null
  /** How many of its jobs the transaction moved, or may have moved. */
  touches: number
  locked: boolean
  changed: boolean
}

/**
 * Lanes that a claim looks at, and jobs that a balance makes ready or holds back beyond one for each job that its
 * transaction moved: some tens of milliseconds' worth of each.
 */
const LANES_AT_ONCE = 500
const SHIFTS_AT_ONCE = 500

/** As the time to wake: long past, whatever becomes of the clock. */
const AT_ONCE: Instant = 0

/** After this time a lane is looked at again that has places for jobs which another transaction held. */
const LOOK_AGAIN: Duration = 50 * MILLISECOND

/**
 * Keeps the promise of the concurrency keys.
 *
 * Of the due jobs of a key only as many are `ready` as the key has free places; the rest is `held`, best first. A claim
 * takes ready jobs in order and never meets one that it may not start, however many wait behind a busy key. Whatever
 * changes the picture (a submit, a report, a cancel, a new limit) touches the lane; touched lanes are locked and balanced
 * once, when the jobs have been written. Claims check the limit once more, so that it holds even over a balance that is out
 * of date.
 *
 * A new limit may concern any number of lanes and jobs. No transaction does all of that at once: the queue's `review` tells
 * from which key on lanes have yet to be looked at, a lane whose `wake_at` has come has yet to be balanced to its end, and
 * each claim does a portion of both.
 *
 * A balance never waits for a job. One that another transaction holds is left as it is: a ready one is about to be started if
 * there is room; and where a held one keeps its key's place empty, the lane is looked at again soon.
 */
export class Lanes {
  readonly rates: RateUsage
  readonly #transaction: Transaction
  readonly #known = new Map<number, Map<string, Lane>>()
  readonly #touched = new Set<Lane>()

  constructor(transaction: Transaction) {
    this.#transaction = transaction
    this.rates = new RateUsage(transaction)
  }

  /** The lane of a key, to be balanced before the verb ends. */
  touch(queueId: number, key: string, jobs = 1): Lane {
    const lane = this.get(queueId, key)
    this.#touched.add(lane)
    lane.touches += jobs
    return lane
  }

  get(queueId: number, key: string): Lane {
    let lanes = this.#known.get(queueId)
    if (lanes === undefined) {
      lanes = new Map()
      this.#known.set(queueId, lanes)
    }
    let lane = lanes.get(key)
    if (lane === undefined) {
      lane = { queueId, key, running: 0, ready: 0, held: 0, wakeAt: null, touches: 0, locked: false, changed: false }
      lanes.set(key, lane)
    }
    return lane
  }

  /** Counts keyed jobs that enter or leave a stage that matters here. */
  move(queueId: number, key: string, from: Stage | null, to: Stage | null, jobs = 1): void {
    if (from === to) return
    const lane = this.touch(queueId, key, jobs)
    if (from === Stage.ready) lane.ready -= jobs
    if (from === Stage.running) lane.running -= jobs
    if (from === Stage.held) lane.held -= jobs
    if (to === Stage.ready) lane.ready += jobs
    if (to === Stage.running) lane.running += jobs
    if (to === Stage.held) lane.held += jobs
    lane.changed = true
  }

  /** Locks all lanes that were named, and makes those that are missing. */
  async lock(): Promise<void> {
    const unlocked = this.#all()
      .filter(({ locked }) => !locked)
      .sort(inOrderOfKeys)
    if (unlocked.length === 0) return
    this.#transaction.send(
      MAKE,
      unlocked.map(({ queueId, key }) => [queueId, key]),
    )
    const byQueue = [...Map.groupBy(unlocked, ({ queueId }) => queueId)]
    const rows = await Promise.all(
      byQueue.map(([queueId, lanes]) =>
        this.#transaction.rows<LaneRecord>(
          SELECT_LOCKED,
          queueId,
          lanes.map(({ key }) => key),
        ),
      ),
    )
    for (const [queueId, key, running, ready, held, wakeAt] of rows.flat()) {
      const lane = this.get(queueId, key)
      lane.running += running
      lane.ready += ready
      lane.held += held
      lane.wakeAt = wakeAt
      lane.locked = true
    }
  }

  /** Reads lanes without locking them; those that are not there are left out. */
  async peek(lanes: readonly Lane[]): Promise<ReadonlyMap<Lane, LaneCounts>> {
    const byQueue = Map.groupBy(lanes, ({ queueId }) => queueId)
    const rows = await Promise.all(
      [...byQueue].map(([queueId, of]) =>
        this.#transaction.rows<LaneRecord>(
          PEEK,
          queueId,
          of.map(({ key }) => key),
        ),
      ),
    )
    return new Map(
      rows.flat().map(([queueId, key, running, ready, held]) => [this.get(queueId, key), { running, ready, held }]),
    )
  }

  /** Has every lane of queues looked at by the next claims: their limits changed, or the clock that they are reckoned by. */
  reviewAll(queueIds: readonly number[]): void {
    this.#transaction.send(REVIEW_ALL, queueIds)
  }

  /** Touches the lanes of a queue whose time to look again has come, and the next of those under review, for which it must be locked. */
  async touchDue(queueId: number, review: string | null, now: Instant): Promise<void> {
    const [due, from] = await Promise.all([
      this.#transaction.rows<[string]>(SELECT_DUE, queueId, now, LANES_AT_ONCE),
      review === null ? [] : this.#transaction.rows<[string]>(SELECT_FROM, queueId, review, LANES_AT_ONCE + 1),
    ])
    for (const [key] of [...due, ...from.slice(0, LANES_AT_ONCE)]) this.touch(queueId, key)
    if (review !== null) this.#transaction.send(REVIEW_FROM, from[LANES_AT_ONCE]?.[0] ?? null, queueId)
  }

  /** How many more jobs of the lane may start now. */
  placesIn(lane: Lane, now: Instant): number {
    return this.#places(lane, now).free
  }

  /** Leaves lanes out of the next balance where nothing but starts befell them: what ran before is what is ready less now. */
  leave(lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      if (this.#transaction.settingsOf(lane.queueId).keyRateLimit !== null) continue
      this.#touched.delete(lane)
      lane.touches = 0
    }
  }

  /** Makes ready what may start, and holds back what may not, in every lane touched; leaves what is too much to later claims. */
  async balance(now: Instant): Promise<void> {
    if (this.#touched.size === 0) return
    this.#transaction.jobs.save()
    const lanes = [...this.#touched]
    this.#touched.clear()
    // Behind the lock: whoever changes limits has the lane looked at afterwards, or has done so before.
    await Promise.all([this.lock(), this.#transaction.readSettings(lanes.map(({ queueId }) => queueId))])
    await this.rates.read(lanes, now)
    const unsettled: (readonly [Lane, Places])[] = []
    for (const lane of lanes) {
      const places = this.#places(lane, now)
      // Where none is held and no more are ready than may start there is nothing to balance.
      if (lane.held > 0 || lane.ready > places.free) unsettled.push([lane, places])
      else this.#settle(lane, null)
    }
    const share = Math.ceil(SHIFTS_AT_ONCE / unsettled.length)
    const tasks = await Promise.all(unsettled.map(([lane, places]) => this.#look(lane, places, share)))
    await this.#shift(tasks, Stage.ready, Stage.held, surplusOf)
    await this.#shift(tasks, Stage.held, Stage.ready, deservingOf)
    for (const task of tasks) this.#settle(task.lane, nextLook(task, now))
  }

  /** @returns whether there was anything to save. */
  save(): boolean {
    const changed = this.#all().filter((lane) => lane.changed)
    if (changed.length > 0) {
      for (const lane of changed) {
        if (!lane.locked) throw new Error('a lane was changed that is not locked')
        lane.changed = false
      }
      this.#transaction.send(
        SAVE,
        changed.map(({ queueId, key, running, ready, held, wakeAt }) => [queueId, key, running, ready, held, wakeAt]),
      )
    }
    this.rates.save()
    return changed.length > 0
  }

  #all(): Lane[] {
    return [...this.#known.values()].flatMap((lanes) => [...lanes.values()])
  }

  /** @param at when to look at the lane again. */
  #settle(lane: Lane, at: Instant | null): void {
    lane.touches = 0
    if (at === lane.wakeAt) return
    if (at !== null) this.#transaction.change(lane.queueId).nextTimeMoved = true
    lane.wakeAt = at
    lane.changed = true
  }

  /** Reads the worst of the ready jobs and the best of the held ones: one more of each than may have to change places. */
  async #look(lane: Lane, places: Places, share: number): Promise<Task> {
    const { queueId, key, ready, touches } = lane
    const most = touches + share
    const worstAtMost = ready === 0 ? 0 : Math.min(most, Math.max(0, ready - places.free) + touches) + 1
    const bestAtMost = Math.min(most, Math.max(0, places.free - ready) + touches) + 1
    const [worst, best] = await Promise.all([
      worstAtMost === 0 ? [] : this.#transaction.rows<PlaceRecord>(SELECT_WORST_READY, queueId, key, worstAtMost),
      this.#transaction.rows<PlaceRecord>(SELECT_BEST_HELD, queueId, key, bestAtMost),
    ])
    return { lane, places, worst, best, most, unfinished: false }
  }

  /** Moves jobs that no other transaction holds. @param choose of each lane. */
  async #shift(tasks: readonly Task[], from: Stage, to: Stage, choose: (task: Task) => readonly number[]): Promise<void> {
    const taskOf = new Map<number, Task>()
    for (const task of tasks) for (const id of choose(task)) taskOf.set(id, task)
    if (taskOf.size === 0) return
    const free = (await this.#transaction.rows<[number]>(LOCK_FREE, [...taskOf.keys()], from)).map(([id]) => id)
    if (free.length > 0) this.#transaction.send(SHIFT, to, free)
    for (const id of free) {
      const { lane } = taskOf.get(id)!
      const by = to === Stage.ready ? 1 : -1
      this.#transaction.change(lane.queueId).count(from, to)
      lane.held -= by
      lane.ready += by
      lane.changed = true
    }
  }

  /** How many jobs of the lane may be ready or start now. */
  #places(lane: Lane, now: Instant): Places {
    const room = Math.max(0, this.#transaction.settingsOf(lane.queueId).keyConcurrency - lane.running)
    const rate = this.rates.ofKey(lane.queueId, lane.key, now)
    return { free: Math.min(room, rate.free), nextAt: rate.nextAt }
  }
}

/** What there is to be done for one lane. */
interface Task {
  readonly lane: Lane
  readonly places: Places
  /** Ready, the worst first. */
  readonly worst: readonly PlaceRecord[]
  /** Held, the best first. */
  readonly best: readonly PlaceRecord[]
  /** How many jobs may be moved each way. */
  readonly most: number
  /** Whether more is to be done than is done at once. */
  unfinished: boolean
}

/** The ready jobs of a lane that are too many, and those in whose place a better one waits. */
function surplusOf(task: Task): number[] {
  const { lane, places, worst, best, most } = task
  let count = Math.min(Math.max(0, lane.ready - places.free), worst.length)
  for (let next = Math.max(0, places.free - lane.ready); next < best.length && count < worst.length; next++, count++)
    if (!precedes(best[next]!, worst[count]!)) break
  if (count > most) task.unfinished = true
  return worst
    .slice(0, most)
    .slice(0, count)
    .map(([id]) => id)
}

/** The held jobs of a lane that there is room for. */
function deservingOf(task: Task): number[] {
  const { lane, places, best, most } = task
  const count = Math.min(Math.max(0, places.free - lane.ready), best.length)
  if (count > most) task.unfinished = true
  return best
    .slice(0, most)
    .slice(0, count)
    .map(([id]) => id)
}

/** When a lane is to be looked at again after all that could be moved was. */
function nextLook({ lane, places, unfinished }: Task, now: Instant): Instant | null {
  if (unfinished) return AT_ONCE
  if (lane.held === 0) return null
  return lane.ready < places.free ? now + LOOK_AGAIN : places.nextAt
}

const precedes = (a: PlaceRecord, b: PlaceRecord): boolean => a[1] < b[1] || (a[1] === b[1] && a[0] < b[0])

const inOrderOfKeys = (a: Lane, b: Lane): number => a.queueId - b.queueId || (a.key < b.key ? -1 : 1)

type LaneRecord = readonly [queueId: number, key: string, running: number, ready: number, held: number, wakeAt: Instant | null]

type PlaceRecord = readonly [id: number, priority: number]

// An upsert locks a row that is there for writing at once; to insert and ignore it would first share it, and two who do that
// wait for each other.
const MAKE = 'INSERT INTO octoflow_lanes (queue_id, concurrency_key) VALUES ? ON DUPLICATE KEY UPDATE running = running'

const SELECT_LOCKED = `SELECT queue_id, concurrency_key, running, ready, held, wake_at FROM octoflow_lanes FORCE INDEX (PRIMARY)
  WHERE queue_id = ? AND concurrency_key IN (?) FOR UPDATE`

const PEEK = `SELECT queue_id, concurrency_key, running, ready, held, wake_at FROM octoflow_lanes
  WHERE queue_id = ? AND concurrency_key IN (?)`

const SAVE = `INSERT INTO octoflow_lanes (queue_id, concurrency_key, running, ready, held, wake_at) VALUES ?
  ON DUPLICATE KEY UPDATE running = VALUES(running), ready = VALUES(ready), held = VALUES(held), wake_at = VALUES(wake_at)`

const REVIEW_ALL = "UPDATE octoflow_queues SET review = '' WHERE id IN (?)"

const REVIEW_FROM = 'UPDATE octoflow_queues SET review = ? WHERE id = ?'

const SELECT_DUE = `SELECT concurrency_key FROM octoflow_lanes FORCE INDEX (octoflow_lanes_waking)
  WHERE queue_id = ? AND wake_at <= ? ORDER BY wake_at LIMIT ?`

const SELECT_FROM = `SELECT concurrency_key FROM octoflow_lanes FORCE INDEX (PRIMARY)
  WHERE queue_id = ? AND concurrency_key >= ? ORDER BY concurrency_key LIMIT ?`

const ofLane = (stage: Stage, order: 'ASC' | 'DESC'): string => `SELECT id, priority
  FROM octoflow_requests FORCE INDEX (octoflow_requests_keyed)
  WHERE lane_queue = ? AND concurrency_key = ? AND lane_stage = ${stage} ORDER BY priority ${order}, id ${order} LIMIT ?`

const SELECT_WORST_READY = ofLane(Stage.ready, 'DESC')
const SELECT_BEST_HELD = ofLane(Stage.held, 'ASC')

const LOCK_FREE = `SELECT id FROM octoflow_requests FORCE INDEX (PRIMARY)
  WHERE id IN (?) AND stage = ? ORDER BY id FOR UPDATE SKIP LOCKED`

const SHIFT = 'UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET stage = ? WHERE id IN (?)'
