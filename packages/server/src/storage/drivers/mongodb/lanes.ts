import type { Instant } from '../../../lib/time.ts'
import { availability, type RateLimit, sliceStart, type UsedSlice, windowStart } from '../../../model/rate-limit.ts'
import { Stage } from '../../sql/stages.ts'
import { type LaneDocument, laneId } from './documents.ts'
import { jobsOf, type LaneJobs, NO_JOBS } from './lane-jobs.ts'
import type { QueueState } from './queue-state.ts'
import { byPriority } from './selections.ts'
import type { Transaction } from './transaction.ts'

/** A concurrency key in use. */
export interface Lane {
  readonly id: string
  readonly queue: QueueState
  readonly key: string
  running: number
  ready: number
  held: number
  wakeAt: Instant | null
  idleAt: Instant | null
  starts: readonly UsedSlice[]
  stored: boolean
  changed: boolean
}

const BALANCE_AT_ONCE = 1_000

/**
 * Keeps the promise of the concurrency keys.
 *
 * Of the due jobs of a key only as many are `ready` as the key has free places; the rest is `held`, best first. A claim
 * takes ready jobs in order and never meets one that it may not start, however many wait behind a busy key. Whatever
 * changes the picture (a submit, a report, a cancel, a new limit) touches the lane; touched lanes are balanced once, at
 * the end of the verb. Claims check the limit once more, so that it holds even over a balance that is out of date.
 */
export class Lanes {
  readonly #transaction: Transaction
  readonly #known = new Map<string, Lane>()
  readonly #touched = new Set<Lane>()

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  /** The lane of a key, to be balanced before the verb ends. */
  async touch(queue: QueueState, key: string): Promise<Lane> {
    const lane = await this.get(queue, key)
    this.#touched.add(lane)
    return lane
  }

  async get(queue: QueueState, key: string): Promise<Lane> {
    const id = laneId(queue.name, key)
    return this.#known.get(id) ?? this.#remember(id, queue, key, await this.#transaction.tables.lanes.get(id))
  }

  /** Counts a keyed job that enters or leaves a stage that its lane knows of. */
  async move(queue: QueueState, key: string, from: Stage | null, to: Stage | null): Promise<void> {
    if (from === to) return
    const lane = await this.touch(queue, key)
    add(lane, from, -1)
    add(lane, to, 1)
  }

  /** Has every lane of a queue looked at by the next claims, because its limits changed. */
  async wakeAll(queue: QueueState): Promise<void> {
    this.flush()
    const filter = { queue: queue.name }
    const matches = (lane: LaneDocument): boolean => lane.queue === queue.name
    await this.#wake(await this.#find(filter, matches))
  }

  /** Has the lanes that wait for a time looked at by the next claims, because the clock was stepped. */
  async wakeSleeping(): Promise<void> {
    this.flush()
    await this.#wake(await this.#find({ wakeAt: { $exists: true } }, ({ wakeAt }) => wakeAt !== undefined))
  }

  /** Has a lane looked at by the next claim. */
  wake(lane: Lane): void {
    lane.wakeAt = 0
    lane.changed = true
    lane.queue.expect('wakeAt', 0)
  }

  /** Touches the lanes of a queue whose time to look again has come. */
  async touchDue(queue: QueueState, now: Instant): Promise<void> {
    if (queue.wakeAt === null || queue.wakeAt > now) return
    this.flush()
    const due = await this.#find({ queue: queue.name, wakeAt: { $lte: now } }, isWaking(queue, now), BALANCE_AT_ONCE)
    for (const { key } of due) await this.touch(queue, key)
  }

  /** When the next lane of a queue has to be looked at again. */
  async nextWake(queue: QueueState): Promise<Instant | null> {
    if (queue.wakeAt === null) return null
    this.flush()
    const [first] = await this.#find(
      { queue: queue.name, wakeAt: { $exists: true } },
      isWaking(queue, Number.POSITIVE_INFINITY),
      1,
    )
    queue.know('wakeAt', first?.wakeAt ?? null)
    return queue.wakeAt
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

  /** Makes ready what may start, and holds back what may not, in every lane touched. */
  async balance(now: Instant): Promise<void> {
    const lanes = [...this.#touched]
    this.#touched.clear()
    const jobs = await jobsOf(
      this.#transaction,
      lanes.filter((lane) => lane.held > 0 || lane.ready > this.#places(lane, now).free),
    )
    for (const lane of lanes) this.#balance(lane, jobs.get(lane) ?? NO_JOBS, now)
  }

  flush(): void {
    const { lanes } = this.#transaction.tables
    for (const lane of this.#known.values()) {
      if (!lane.changed) continue
      lane.changed = false
      const { id, queue, key, running, ready, held, wakeAt, idleAt, starts } = lane
      const counts = { running, ready, held, starts }
      if (lane.stored) lanes.update(id, { ...counts, wakeAt, idleAt })
      else
        lanes.put({
          _id: id,
          queue: queue.name,
          key,
          ...counts,
          ...(wakeAt !== null && { wakeAt }),
          ...(idleAt !== null && { idleAt }),
        })
      lane.stored = true
    }
  }

  /** When the queue's own rate limit lets jobs start, and how many. */
  queueRate(queue: QueueState, now: Instant): Places {
    return places(queue.settings.rateLimit, queue.starts, now)
  }

  keyRate(lane: Lane, now: Instant): Places {
    return places(lane.queue.settings.keyRateLimit, lane.starts, now)
  }

  /** Counts a start against the rate limits of the queue and of the key. */
  async countStart(queue: QueueState, key: string | undefined, now: Instant): Promise<void> {
    const { rateLimit, keyRateLimit } = queue.settings
    if (rateLimit !== null) {
      queue.starts = withStart(rateLimit, queue.starts, now)
      queue.changed = true
    }
    if (key !== undefined && keyRateLimit !== null) {
      const lane = await this.get(queue, key)
      lane.starts = withStart(keyRateLimit, lane.starts, now)
      lane.changed = true
    }
  }

  #balance(lane: Lane, { ready, held }: LaneJobs, now: Instant): void {
    const { free, nextAt } = this.#places(lane, now)
    const hold = (): void => {
      const job = ready.pop()!
      this.#shift(lane, job._id, Stage.ready, Stage.held)
      held.splice(held.findLastIndex((other) => byPriority(other, job) < 0) + 1, 0, job)
    }
    const release = (): void => {
      const job = held.shift()!
      this.#shift(lane, job._id, Stage.held, Stage.ready)
      ready.push(job)
    }
    while (lane.ready > free) hold()
    while (held.length > 0 && lane.ready < free) release()
    ready.sort(byPriority)
    while (held.length > 0 && ready.length > 0 && byPriority(held[0]!, ready.at(-1)!) < 0) {
      hold()
      release()
      ready.sort(byPriority)
    }
    lane.idleAt = lane.running + lane.ready + lane.held === 0 ? now : null
    const wakeAt = lane.held === 0 ? null : nextAt
    if (wakeAt !== lane.wakeAt) {
      if (wakeAt !== null) {
        lane.queue.nextTimeMoved = true
        lane.queue.expect('wakeAt', wakeAt)
      }
      lane.wakeAt = wakeAt
      lane.changed = true
    }
  }

  #shift(lane: Lane, id: number, from: Stage, to: Stage): void {
    this.#transaction.tables.requests.update(id, { stage: to })
    this.#transaction.count(lane.queue, from, to)
    add(lane, from, -1)
    add(lane, to, 1)
  }

  #find(filter: Record<string, unknown>, matches: (lane: LaneDocument) => boolean, limit?: number): Promise<LaneDocument[]> {
    const compare = (a: LaneDocument, b: LaneDocument): number => (a.wakeAt ?? 0) - (b.wakeAt ?? 0)
    return this.#transaction.tables.lanes.find({
      filter,
      matches,
      sort: { wakeAt: 1 },
      compare,
      ...(limit !== undefined && { limit }),
    })
  }

  async #wake(lanes: readonly LaneDocument[]): Promise<void> {
    for (const document of lanes) {
      if (document.running + document.ready + document.held === 0) continue
      const queue = (await this.#transaction.findQueue(document.queue))!
      const lane = this.#known.get(document._id) ?? this.#remember(document._id, queue, document.key, document)
      this.wake(lane)
    }
  }

  /** How many jobs of the lane may be ready or start now. */
  #places(lane: Lane, now: Instant): Places {
    const room = Math.max(0, lane.queue.settings.keyConcurrency - lane.running)
    const rate = this.keyRate(lane, now)
    return { free: Math.min(room, rate.free), nextAt: rate.nextAt }
  }

  #remember(id: string, queue: QueueState, key: string, document: LaneDocument | null): Lane {
    const { running = 0, ready = 0, held = 0, wakeAt = null, idleAt = null, starts = [] } = document ?? {}
    const lane = { id, queue, key, running, ready, held, wakeAt, idleAt, starts, stored: document !== null, changed: false }
    this.#known.set(id, lane)
    return lane
  }
}

export interface Places {
  readonly free: number
  readonly nextAt: Instant | null
}

const UNLIMITED: Places = { free: Number.POSITIVE_INFINITY, nextAt: null }

const isWaking =
  (queue: QueueState, now: Instant) =>
  (lane: LaneDocument): boolean =>
    lane.queue === queue.name && lane.wakeAt !== undefined && lane.wakeAt <= now

function add(lane: Lane, stage: Stage | null, by: number): void {
  if (stage === Stage.ready) lane.ready += by
  else if (stage === Stage.held) lane.held += by
  else if (stage === Stage.running) lane.running += by
  lane.changed = true
}

function places(limit: RateLimit | null, starts: readonly UsedSlice[], now: Instant): Places {
  if (limit === null) return UNLIMITED
  const from = windowStart(limit, now)
  return availability(
    limit,
    starts.filter(({ start }) => start >= from),
    now,
  )
}

/** One start more, without those so old that no limit like this one asks for them. */
function withStart(limit: RateLimit, starts: readonly UsedSlice[], now: Instant): UsedSlice[] {
  const start = sliceStart(limit, now)
  const used = (starts.find((slice) => slice.start === start)?.used ?? 0) + 1
  const others = starts.filter((slice) => slice.start !== start && slice.start >= now - 2 * limit.period)
  return [...others, { start, used }].sort((a, b) => a.start - b.start)
}
