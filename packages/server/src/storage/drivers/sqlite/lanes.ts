import type { Instant } from '../../../lib/time.ts'
import { availability, type RateLimit, sliceStart, windowStart } from '../../../model/rate-limit.ts'
import { Stage } from '../../sql/stages.ts'
import type { QueueRow, Transaction } from './transaction.ts'

/** A concurrency key in use. */
export interface Lane {
  readonly queue: QueueRow
  readonly key: string
  running: number
  ready: number
  wakeAt: Instant | null
  stored: boolean
  changed: boolean
}

/**
 * Lanes that a claim looks at, and jobs that a balance makes ready or holds back beyond one for each job that its verb moved:
 * some milliseconds' worth of each.
 */
const LANES_AT_ONCE = 500
const SHIFTS_AT_ONCE = 500

/** As the time to wake: long past, whatever becomes of the clock. */
const AT_ONCE: Instant = 0

/**
 * Keeps the promise of the concurrency keys.
 *
 * Of the due jobs of a key only as many are `ready` as the key has free places; the rest is `held`, best first. A claim
 * takes ready jobs in order and never meets one that it may not start, however many wait behind a busy key. Whatever
 * changes the picture (a submit, a report, a cancel, a new limit) touches the lane; touched lanes are balanced once, at
 * the end of the verb. Claims check the limit once more, so that it holds even over a balance that is out of date.
 *
 * A new limit may concern any number of lanes and jobs. No call does all of that at once: the queue's `review` tells from
 * which key on lanes have yet to be looked at, a lane whose `wake_at` has come has yet to be balanced to its end, and each
 * claim does a portion of both.
 */
export class Lanes {
  readonly #transaction: Transaction
  readonly #known = new Map<string, Lane>()
  readonly #touched = new Set<Lane>()
  #shiftsLeft = SHIFTS_AT_ONCE

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  /** The lane of a key, to be balanced before the verb ends. */
  touch(queue: QueueRow, key: string): Lane {
    const lane = this.get(queue, key)
    this.#touched.add(lane)
    this.#shiftsLeft++
    return lane
  }

  get(queue: QueueRow, key: string): Lane {
    const name = `${queue.id}:${key}`
    let lane = this.#known.get(name)
    if (lane === undefined) {
      const row = this.#transaction.db.row<[number, number, number | null]>(SELECT_LANE, queue.id, key)
      lane = {
        queue,
        key,
        running: row?.[0] ?? 0,
        ready: row?.[1] ?? 0,
        wakeAt: row?.[2] ?? null,
        stored: row !== undefined,
        changed: false,
      }
      this.#known.set(name, lane)
    }
    return lane
  }

  /** Counts a keyed job that enters or leaves `ready` or `running`. */
  move(queue: QueueRow, key: string, from: Stage | null, to: Stage | null): void {
    if (from === to) return
    const lane = this.touch(queue, key)
    if (from === Stage.ready) lane.ready--
    if (from === Stage.running) lane.running--
    if (to === Stage.ready) lane.ready++
    if (to === Stage.running) lane.running++
    lane.changed = true
  }

  /** Has every lane of a queue looked at by the next claims: its limits changed, or the clock that they are reckoned by. */
  reviewAll(queue: QueueRow): void {
    queue.promoted = false
    this.#reviewFrom(queue, '')
  }

  /** Touches the lanes of a queue whose time to look again has come, and the next of those under review. */
  touchDue(queue: QueueRow, now: Instant): void {
    const { db } = this.#transaction
    for (const [key] of db.rows<[string]>(SELECT_DUE_LANES, queue.id, now, LANES_AT_ONCE)) this.touch(queue, key)
    if (queue.review === null) return
    this.flush()
    const keys = db.rows<[string]>(SELECT_LANES_FROM, queue.id, queue.review, LANES_AT_ONCE + 1)
    for (const [key] of keys.slice(0, LANES_AT_ONCE)) this.touch(queue, key)
    this.#reviewFrom(queue, keys[LANES_AT_ONCE]?.[0] ?? null)
  }

  /** When the next lane of a queue has to be looked at again. */
  nextWake(queue: QueueRow, now: Instant): Instant | null {
    if (queue.review !== null) return now
    this.flush()
    return this.#transaction.db.row<[number]>(SELECT_NEXT_WAKE, queue.id)?.[0] ?? null
  }

  /** Whether one more job of the lane may start now. */
  mayStart(lane: Lane, now: Instant): boolean {
    return this.#places(lane, now).free > 0
  }

  /** Whether one more job of the lane could be ready now. */
  hasRoom(lane: Lane, now: Instant): boolean {
    return this.#places(lane, now).free > lane.ready
  }

  /** Holds back a ready job that may not start after all. */
  hold(lane: Lane, id: number): void {
    this.#shift(lane, id, Stage.ready, Stage.held)
  }

  /** Makes ready what may start, and holds back what may not, in every lane touched; leaves what is too much to later claims. */
  balance(now: Instant): void {
    for (const lane of this.#touched) this.#balance(lane, now)
    this.#touched.clear()
    this.#shiftsLeft = SHIFTS_AT_ONCE
  }

  flush(): void {
    const { db } = this.#transaction
    for (const lane of this.#known.values()) {
      if (!lane.changed) continue
      lane.changed = false
      const idle = lane.running === 0 && lane.ready === 0 && lane.wakeAt === null
      if (!idle) db.run(UPSERT_LANE, lane.queue.id, lane.key, lane.running, lane.ready, lane.wakeAt)
      else if (lane.stored) db.run('DELETE FROM octoflow_lanes WHERE queue_id = ? AND key = ?', lane.queue.id, lane.key)
      lane.stored = !idle
    }
  }

  /** When the queue's own rate limit lets jobs start, and how many. */
  queueRate(queue: QueueRow, now: Instant): Places {
    const limit = queue.settings.rateLimit
    return limit === null ? UNLIMITED : this.#rate(queue, '', limit, now)
  }

  keyRate(queue: QueueRow, key: string, now: Instant): Places {
    const limit = queue.settings.keyRateLimit
    return limit === null ? UNLIMITED : this.#rate(queue, `k${key}`, limit, now)
  }

  /** Counts starts against the rate limits of the queue and of the key. */
  countStart(queue: QueueRow, key: string | null, now: Instant): void {
    const { rateLimit, keyRateLimit } = queue.settings
    if (rateLimit !== null) this.#use(queue, '', rateLimit, now)
    if (key !== null && keyRateLimit !== null) this.#use(queue, `k${key}`, keyRateLimit, now)
  }

  #balance(lane: Lane, now: Instant): void {
    const { free, nextAt } = this.#places(lane, now)
    while (lane.ready > free && this.#shiftsLeft > 0) this.#shift(lane, this.#lastReady(lane)!.id, Stage.ready, Stage.held)
    let next = this.#firstHeld(lane)
    while (next !== undefined && this.#shiftsLeft > 0) {
      if (lane.ready >= free) {
        const last = lane.ready > 0 ? this.#lastReady(lane)! : null
        if (last === null || !precedes(next, last)) break
        this.#shift(lane, last.id, Stage.ready, Stage.held)
      }
      this.#shift(lane, next.id, Stage.held, Stage.ready)
      next = this.#firstHeld(lane)
    }
    this.#wakeAt(lane, this.#shiftsLeft <= 0 ? AT_ONCE : next === undefined ? null : nextAt)
  }

  #wakeAt(lane: Lane, at: Instant | null): void {
    if (at === lane.wakeAt) return
    if (at !== null) lane.queue.nextTimeMoved = true
    lane.wakeAt = at
    lane.changed = true
  }

  #reviewFrom(queue: QueueRow, key: string | null): void {
    queue.review = key
    this.#transaction.db.run('UPDATE octoflow_queues SET review = ? WHERE id = ?', key, queue.id)
  }

  #shift(lane: Lane, id: number, from: Stage, to: Stage): void {
    this.#transaction.db.run('UPDATE octoflow_requests SET stage = ? WHERE id = ?', to, id)
    this.#transaction.count(lane.queue, from, to)
    lane.ready += to === Stage.ready ? 1 : -1
    lane.changed = true
    this.#shiftsLeft--
  }

  #firstHeld(lane: Lane): Place | undefined {
    return this.#transaction.db.get<Place>(SELECT_FIRST, lane.queue.id, lane.key, Stage.held)
  }

  #lastReady(lane: Lane): Place | undefined {
    return this.#transaction.db.get<Place>(SELECT_LAST, lane.queue.id, lane.key, Stage.ready)
  }

  /** How many jobs of the lane may be ready or start now. */
  #places(lane: Lane, now: Instant): Places {
    const room = Math.max(0, lane.queue.settings.keyConcurrency - lane.running)
    const rate = this.keyRate(lane.queue, lane.key, now)
    return { free: Math.min(room, rate.free), nextAt: rate.nextAt }
  }

  #rate(queue: QueueRow, key: string, limit: RateLimit, now: Instant): Places {
    const slices = this.#transaction.db.all<{ start: number; used: number }>(
      SELECT_USAGE,
      queue.id,
      key,
      windowStart(limit, now),
    )
    return availability(limit, slices, now)
  }

  #use(queue: QueueRow, key: string, limit: RateLimit, now: Instant): void {
    this.#transaction.db.run(ADD_USAGE, queue.id, key, sliceStart(limit, now))
  }
}

interface Place {
  readonly id: number
  readonly priority: number
}

export interface Places {
  readonly free: number
  readonly nextAt: Instant | null
}

const UNLIMITED: Places = { free: Number.POSITIVE_INFINITY, nextAt: null }

const precedes = (a: Place, b: Place): boolean => a.priority < b.priority || (a.priority === b.priority && a.id < b.id)

const SELECT_LANE = 'SELECT running, ready, wake_at FROM octoflow_lanes WHERE queue_id = ? AND key = ?'

const UPSERT_LANE = `INSERT INTO octoflow_lanes (queue_id, key, running, ready, wake_at) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET running = excluded.running, ready = excluded.ready, wake_at = excluded.wake_at`

const SELECT_DUE_LANES = `SELECT key FROM octoflow_lanes
  WHERE queue_id = ? AND wake_at IS NOT NULL AND wake_at <= ? ORDER BY wake_at LIMIT ?`

const SELECT_LANES_FROM = 'SELECT key FROM octoflow_lanes WHERE queue_id = ? AND key >= ? ORDER BY key LIMIT ?'

const SELECT_NEXT_WAKE =
  'SELECT wake_at FROM octoflow_lanes WHERE queue_id = ? AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1'

// The literal `stage <= 3` lets SQLite see that the partial index covers the query.
const SELECT_FIRST = `SELECT id, priority FROM octoflow_requests
  WHERE queue_id = ? AND concurrency_key = ? AND stage = ? AND stage <= 3 ORDER BY priority, id LIMIT 1`

const SELECT_LAST = `SELECT id, priority FROM octoflow_requests
  WHERE queue_id = ? AND concurrency_key = ? AND stage = ? AND stage <= 3 ORDER BY priority DESC, id DESC LIMIT 1`

const SELECT_USAGE = `SELECT slice AS start, used FROM octoflow_rate_usage
  WHERE queue_id = ? AND key = ? AND slice >= ? ORDER BY slice`

const ADD_USAGE = `INSERT INTO octoflow_rate_usage (queue_id, key, slice, used) VALUES (?, ?, ?, 1)
  ON CONFLICT DO UPDATE SET used = used + 1`
