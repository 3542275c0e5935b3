import { type Duration, type Instant, MILLISECOND } from '../../../lib/time.ts'
import type { Places } from '../../sql/rate-usage.ts'
import type { LaneCounts } from '../../sql/room.ts'
import { Stage } from '../../sql/stages.ts'
import { RateUsage } from './rate-usage.ts'
import type { Transaction } from './transaction.ts'
import { array, decodeText, numbers, textArray } from './values.ts'

/** A concurrency key in use. Until it is locked, the counts are what the transaction adds. */
export interface Lane {
  readonly queueId: number
  readonly key: string
  running: number
  ready: number
  held: number
  wakeAt: Instant | null
  locked: boolean
  changed: boolean
}

const BALANCE_AT_ONCE = 1_000

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
 * A balance never waits for a job. One that another transaction holds is left as it is: a ready one is about to be started if
 * there is room; and where a held one keeps its key's place empty, the lane is looked at again soon.
 */
export class Lanes {
  readonly rates: RateUsage
  readonly #transaction: Transaction
  readonly #known = new Map<number, Map<string, Lane>>()
  readonly #touched = new Set<Lane>()
  /** Queues whose limits may have been changed before their lanes were locked. */
  readonly #outdated = new Set<number>()

  constructor(transaction: Transaction) {
    this.#transaction = transaction
    this.rates = new RateUsage(transaction)
  }

  /** The lane of a key, to be balanced before the verb ends. */
  touch(queueId: number, key: string): Lane {
    const lane = this.get(queueId, key)
    this.#touched.add(lane)
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
      lane = { queueId, key, running: 0, ready: 0, held: 0, wakeAt: null, locked: false, changed: false }
      lanes.set(key, lane)
    }
    return lane
  }

  /** Counts keyed jobs that enter or leave a stage that matters here. */
  move(queueId: number, key: string, from: Stage | null, to: Stage | null, jobs = 1): void {
    if (from === to) return
    const lane = this.touch(queueId, key)
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
    const unlocked = this.#all().filter(({ locked }) => !locked)
    if (unlocked.length === 0) return
    await this.#lock(unlocked)
    // Again where one was deleted as idle after it had been seen.
    for (let missing = unlocked; ; ) {
      missing = missing.filter(({ locked }) => !locked)
      if (missing.length === 0) return
      this.#transaction.send(MAKE, ...namesOf(missing))
      await this.#lock(missing)
    }
  }

  /** Limits are read behind the lock: whoever changes them touches the lane afterwards, or has done so before. */
  async #lock(lanes: readonly Lane[]): Promise<void> {
    const queueIds = lanes.map(({ queueId }) => queueId)
    const [records] = await Promise.all([
      this.#transaction.rows<LaneRecord>(LOCK, ...namesOf(lanes)),
      this.#transaction.readSettings(queueIds),
    ])
    for (const record of records) this.#learn(record)
  }

  /** Takes note of a lane that a statement locked, which knows the limits of before. */
  learn(record: LaneRecord): void {
    this.#learn(record)
    this.#outdated.add(record[0])
  }

  #learn([queueId, key, running, ready, held, wakeAt]: LaneRecord): void {
    const lane = this.get(queueId, key)
    if (lane.locked) return
    lane.running += running
    lane.ready += ready
    lane.held += held
    lane.wakeAt = wakeAt
    lane.locked = true
  }

  /** Reads lanes without locking them; those that are not there are left out. */
  async peek(lanes: readonly Lane[]): Promise<ReadonlyMap<Lane, LaneCounts>> {
    const rows = await this.#transaction.rows<LaneRecord>(PEEK, ...namesOf(lanes))
    return new Map(rows.map(([queueId, key, running, ready, held]) => [this.get(queueId, key), { running, ready, held }]))
  }

  /** Has every lane of a queue looked at by the next claims, because its limits changed. */
  wakeAll(queueId: number): void {
    this.#transaction.send(WAKE_ALL, queueId)
  }

  /** Has the lanes that wait for a time looked at by the next claims, because the clock was stepped. */
  wakeSleeping(): void {
    this.#transaction.send(WAKE_SLEEPING)
  }

  /** Touches the lanes of a queue whose time to look again has come. */
  async touchDue(queueId: number, now: Instant): Promise<void> {
    const due = await this.#transaction.rows<[string]>(SELECT_DUE, queueId, now, BALANCE_AT_ONCE)
    for (const [key] of due) this.touch(queueId, key)
  }

  /** How many more jobs of the lane may start now. */
  placesIn(lane: Lane, now: Instant): number {
    return this.#places(lane, now).free
  }

  /** Leaves lanes out of the next balance where nothing but starts befell them: what ran before is what is ready less now. */
  leave(lanes: readonly Lane[]): void {
    for (const lane of lanes) if (this.#transaction.settingsOf(lane.queueId).keyRateLimit === null) this.#touched.delete(lane)
  }

  /** Makes ready what may start, and holds back what may not, in every lane touched. */
  async balance(now: Instant): Promise<void> {
    if (this.#touched.size === 0) return
    this.#transaction.jobs.save()
    const lanes = [...this.#touched]
    this.#touched.clear()
    await this.lock()
    await this.#readLimits(lanes)
    await this.rates.read(lanes, now)
    const places = new Map<Lane, Places>()
    for (const lane of lanes) {
      const of = this.#places(lane, now)
      // Where none is held and no more are ready than may start there is nothing to balance.
      if (lane.held > 0 || lane.ready > of.free) places.set(lane, of)
      else this.#sleep(lane, null)
    }
    if (places.size === 0) return
    const waiting = await this.#waiting(places)
    await this.#demote(places, waiting)
    const promoted = await this.#promote(places, waiting)
    for (const [lane, { free, nextAt }] of places) {
      const short = lane.held > 0 && lane.ready < free
      if (short && promoted.has(lane)) this.#touched.add(lane)
      this.#sleep(lane, short ? now + LOOK_AGAIN : lane.held > 0 ? nextAt : null)
    }
    await this.balance(now)
  }

  /** Reads limits again that may be those of before, for lanes in which they are likely to move jobs. */
  async #readLimits(lanes: readonly Lane[]): Promise<void> {
    const outdated = lanes.filter((lane) => this.#outdated.has(lane.queueId) && this.#isUnsettled(lane))
    const queueIds = new Set(outdated.map(({ queueId }) => queueId))
    for (const queueId of queueIds) this.#outdated.delete(queueId)
    if (queueIds.size > 0) await this.#transaction.readSettings([...queueIds])
  }

  #isUnsettled({ queueId, running, ready, held, wakeAt }: Lane): boolean {
    const { keyConcurrency, keyRateLimit } = this.#transaction.settingsOf(queueId)
    return held > 0 || wakeAt !== null || keyRateLimit !== null || running + ready > keyConcurrency
  }

  save(): void {
    const changed = this.#all().filter((lane) => lane.changed)
    if (changed.length > 0) {
      for (const lane of changed) {
        if (!lane.locked) throw new Error('a lane was changed that is not locked')
        lane.changed = false
      }
      this.#transaction.send(
        SAVE,
        ...namesOf(changed),
        array(changed.map(({ running }) => running)),
        array(changed.map(({ ready }) => ready)),
        array(changed.map(({ held }) => held)),
        array(changed.map(({ wakeAt }) => wakeAt)),
      )
    }
    this.rates.save()
  }

  #all(): Lane[] {
    return [...this.#known.values()].flatMap((lanes) => [...lanes.values()])
  }

  #sleep(lane: Lane, until: Instant | null): void {
    if (until === lane.wakeAt) return
    if (until !== null) this.#transaction.change(lane.queueId).nextTimeMoved = true
    lane.wakeAt = until
    lane.changed = true
  }

  /**
   * The best jobs that each lane holds: one more than could be made ready, if there is one. All its ready jobs beside them only
   * where some have to be held back, because there are too many or because that one more should go before the last of them.
   */
  async #waiting(places: ReadonlyMap<Lane, Places>): Promise<Map<Lane, Waiting>> {
    const lanes = [...places.keys()]
    const roomIn = (lane: Lane): number => places.get(lane)!.free - lane.ready
    const wanted = lanes.map((lane) => Math.min(BALANCE_AT_ONCE, Math.max(0, roomIn(lane))) + 1)
    const waiting = await this.#read(SELECT_EDGES, lanes, wanted)
    const crowded = lanes.filter((lane) => {
      const { ready, held } = waiting.get(lane)!
      const next = held[roomIn(lane)]
      const last = ready.pop()
      return roomIn(lane) < 0 || (next !== undefined && last !== undefined && inOrder(next, last) < 0)
    })
    if (crowded.length === 0) return waiting
    const most = crowded.map((lane) => Math.min(BALANCE_AT_ONCE, places.get(lane)!.free) + 1)
    return new Map([...waiting, ...(await this.#read(SELECT_WAITING, crowded, most))])
  }

  async #read(sql: string, lanes: readonly Lane[], wanted: readonly number[]): Promise<Map<Lane, Waiting>> {
    const [row] = await this.#transaction.rows<WaitingRecord>(sql, ...namesOf(lanes), array(wanted))
    const waiting = new Map(lanes.map((lane): [Lane, Waiting] => [lane, { ready: [], held: [] }]))
    if (row![0] === null) return waiting
    const [indexes, ids, stages, priorities] = row!.map(numbers) as [number[], number[], Stage[], number[]]
    for (const [at, id] of ids.entries()) {
      const jobs = waiting.get(lanes[indexes[at]! - 1]!)!
      jobs[stages[at] === Stage.ready ? 'ready' : 'held'].push({ id, priority: priorities[at]! })
    }
    for (const { ready, held } of waiting.values()) {
      ready.sort(inOrder)
      held.sort(inOrder)
    }
    return waiting
  }

  /** Holds back ready jobs where there are too many of them, or where better ones wait. */
  async #demote(places: ReadonlyMap<Lane, Places>, waiting: ReadonlyMap<Lane, Waiting>): Promise<void> {
    const demoted = new Map<number, Lane>()
    for (const [lane, { ready, held }] of waiting) {
      const best = [...ready, ...held].sort(inOrder).slice(0, places.get(lane)!.free)
      const chosen = new Set(best.map(({ id }) => id))
      for (const { id } of ready) if (!chosen.has(id)) demoted.set(id, lane)
    }
    for (const id of await this.#move(demoted, Stage.ready, Stage.held)) {
      const jobs = waiting.get(demoted.get(id)!)!
      const at = jobs.ready.findIndex((job) => job.id === id)
      jobs.held.push(...jobs.ready.splice(at, 1))
      jobs.held.sort(inOrder)
    }
  }

  /** @returns lanes of which as many were made ready as are at once. */
  async #promote(places: ReadonlyMap<Lane, Places>, waiting: ReadonlyMap<Lane, Waiting>): Promise<ReadonlySet<Lane>> {
    const promoted = new Map<number, Lane>()
    for (const [lane, { held }] of waiting) {
      // One is left of as many as were read at once: it tells that there are more.
      const room = Math.min(BALANCE_AT_ONCE, Math.max(0, places.get(lane)!.free - lane.ready))
      for (const { id } of held.splice(0, room)) promoted.set(id, lane)
    }
    const moved = await this.#move(promoted, Stage.held, Stage.ready)
    const counts = Map.groupBy(moved, (id) => promoted.get(id)!)
    return new Set([...counts].filter(([, ids]) => ids.length >= BALANCE_AT_ONCE).map(([lane]) => lane))
  }

  /** @returns the jobs that were moved: all but those that other transactions hold. */
  async #move(jobs: ReadonlyMap<number, Lane>, from: Stage, to: Stage): Promise<readonly number[]> {
    if (jobs.size === 0) return []
    const rows = await this.#transaction.rows<[number]>(to === Stage.ready ? PROMOTE : DEMOTE, array([...jobs.keys()]))
    for (const [id] of rows) {
      const lane = jobs.get(id)!
      this.#transaction.change(lane.queueId).count(from, to)
      lane.ready += to === Stage.ready ? 1 : -1
      lane.held += to === Stage.held ? 1 : -1
      lane.changed = true
    }
    return rows.map(([id]) => id)
  }

  /** How many jobs of the lane may be ready or start now. */
  #places(lane: Lane, now: Instant): Places {
    const room = Math.max(0, this.#transaction.settingsOf(lane.queueId).keyConcurrency - lane.running)
    const rate = this.rates.ofKey(lane.queueId, lane.key, now)
    return { free: Math.min(room, rate.free), nextAt: rate.nextAt }
  }
}

interface Place {
  readonly id: number
  readonly priority: number
}

interface Waiting {
  readonly ready: Place[]
  readonly held: Place[]
}

const inOrder = (a: Place, b: Place): number => a.priority - b.priority || a.id - b.id

const namesOf = (lanes: readonly Lane[]): readonly [queueIds: string, keys: string] => [
  array(lanes.map(({ queueId }) => queueId)),
  textArray(lanes.map(({ key }) => key)),
]

export type LaneRecord = readonly [
  queueId: number,
  key: string,
  running: number,
  ready: number,
  held: number,
  wakeAt: Instant | null,
]

/** Columns of the jobs, each as an array. */
type WaitingRecord = readonly [lanes: string, ids: string, stages: string, priorities: string]

const MAKE = `INSERT INTO octoflow_lanes (queue_id, key)
  SELECT * FROM unnest($1::integer[], $2::text[]) AS named (queue_id, key) ORDER BY queue_id, key COLLATE "C" ON CONFLICT DO NOTHING`

const LOCK = `SELECT l.queue_id, l.key, l.running, l.ready, l.held, l.wake_at
  FROM unnest($1::integer[], $2::text[]) AS named (queue_id, key)
  JOIN octoflow_lanes l ON l.queue_id = named.queue_id AND l.key = named.key
  ORDER BY l.queue_id, l.key FOR NO KEY UPDATE OF l`

/**
 * A subquery that locks lanes once all jobs of its statement are locked, in order. They come as they are committed, not as the
 * statement saw them at first. One scan: PostgreSQL prepares the whole statement anew for each that meets a changed row.
 */
export const lockingLanes = ({ queue, keys }: { readonly queue: string; readonly keys: string }): string =>
  `SELECT json_agg(json_build_array(queue_id, key, running, ready, held, wake_at)) FROM (
    SELECT * FROM octoflow_lanes WHERE queue_id = ${queue} AND key = ANY (ARRAY(${keys})) ORDER BY key FOR NO KEY UPDATE) AS lane`

/** What that subquery gave. */
export function parseLanes(json: string | null): readonly LaneRecord[] {
  const lanes = json === null ? [] : (JSON.parse(json) as LaneRecord[])
  return lanes.map(([queueId, key, ...counts]) => [queueId, decodeText(key), ...counts])
}

const PEEK = `SELECT l.queue_id, l.key, l.running, l.ready, l.held, l.wake_at
  FROM unnest($1::integer[], $2::text[]) AS named (queue_id, key)
  JOIN octoflow_lanes l ON l.queue_id = named.queue_id AND l.key = named.key`

const SAVE = `UPDATE octoflow_lanes l SET running = s.running, ready = s.ready, held = s.held, wake_at = s.wake_at
  FROM unnest($1::integer[], $2::text[], $3::integer[], $4::integer[], $5::integer[], $6::bigint[]) AS s (queue_id, key, running, ready, held, wake_at)
  WHERE l.queue_id = s.queue_id AND l.key = s.key`

const WAKE_ALL = `UPDATE octoflow_lanes l SET wake_at = 0 FROM (
    SELECT queue_id, key FROM octoflow_lanes
     WHERE queue_id = $1 ORDER BY queue_id, key FOR NO KEY UPDATE
  ) AS locked
  WHERE l.queue_id = locked.queue_id AND l.key = locked.key`

const WAKE_SLEEPING = `UPDATE octoflow_lanes l SET wake_at = 0 FROM (
    SELECT queue_id, key FROM octoflow_lanes WHERE wake_at IS NOT NULL ORDER BY queue_id, key FOR NO KEY UPDATE
  ) AS locked
  WHERE l.queue_id = locked.queue_id AND l.key = locked.key`

const SELECT_DUE = `SELECT key FROM octoflow_lanes
  WHERE queue_id = $1 AND wake_at IS NOT NULL AND wake_at <= $2 ORDER BY wake_at LIMIT $3`

// The stage is no literal here, or the index of all pending jobs might be taken for that of the keyed ones.
const ofLane = (stage: string, order = ''): string => `SELECT id, stage, priority FROM octoflow_requests
  WHERE queue_id = lane.queue_id AND concurrency_key = lane.key AND concurrency_key IS NOT NULL
    AND stage = lane.${stage} AND stage + 0 < 3
  ORDER BY priority ${order}, id ${order}`

const selecting = (
  ready: string,
): string => `SELECT array_agg(lane.index), array_agg(job.id), array_agg(job.stage), array_agg(job.priority)
  FROM (SELECT *, ${Stage.ready}::smallint AS ready, ${Stage.held}::smallint AS held
      FROM unnest($1::integer[], $2::text[], $3::integer[]) WITH ORDINALITY AS l (queue_id, key, wanted, index)) AS lane,
    LATERAL ((${ready}) UNION ALL (${ofLane('held')} LIMIT lane.wanted)) AS job`

/** The last of the ready jobs, and the best of the held ones. */
const SELECT_EDGES = selecting(`${ofLane('ready', 'DESC')} LIMIT 1`)

/** All ready jobs, and the best of the held ones. */
const SELECT_WAITING = selecting(ofLane('ready'))

const moving = (from: Stage, to: Stage): string => `UPDATE octoflow_requests SET stage = ${to}
  WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM octoflow_requests WHERE id = ANY ($1::bigint[]) AND stage + 0 = ${from} FOR NO KEY UPDATE SKIP LOCKED))
  RETURNING id`

const PROMOTE = moving(Stage.held, Stage.ready)
const DEMOTE = moving(Stage.ready, Stage.held)
