import { type Instant, MINUTE } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import { STATS_COLUMNS, StatsRow } from '../../sql/queue-change.ts'
import { type QueueRecord as SharedRecord, settingsOf } from '../../sql/queues.ts'
import { Stage } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { Lanes } from './lanes.ts'
import { LogEventRows } from './log-event-rows.ts'

/**
 * What the writes that share a transaction share: ids, the queues they touch, and the counts and roll-ups that are
 * written once at the end, however many jobs were moved.
 */
export class Transaction {
  readonly db: Database
  readonly lanes: Lanes
  readonly logEvents: LogEventRows
  readonly #queues = new Map<number, QueueRow>()
  readonly #queuesByName = new Map<string, QueueRow>()
  readonly #sums: StatsRow[] = []
  #sequence: Sequence | null = null
  #sequenceUsed = false

  constructor(db: Database) {
    this.db = db
    this.lanes = new Lanes(this)
    this.logEvents = new LogEventRows(db)
  }

  /** The id of the next request, and when it counts as received: never before the one with the id before it. */
  nextRequest(now: Instant): { readonly id: number; readonly at: Instant } {
    this.#sequence ??= this.#readSequence()
    this.#sequenceUsed = true
    const sequence = this.#sequence
    if (now > sequence.lastAt) sequence.lastAt = now
    return { id: sequence.nextId++, at: sequence.lastAt }
  }

  /** The id that the next request will get. */
  upcomingId(): number {
    this.#sequence ??= this.#readSequence()
    return this.#sequence.nextId
  }

  findQueue(name: string): QueueRow | null {
    const known = this.#queuesByName.get(name)
    if (known !== undefined) return known
    const record = this.db.row<QueueRecord>(`${SELECT_QUEUE} WHERE name = ?`, name)
    return record === undefined ? null : this.#remember(new QueueRow(record))
  }

  /** The queue of that name, made if there is none. */
  queue(name: string, now: Instant): QueueRow {
    const found = this.findQueue(name)
    if (found !== null) return found
    this.db.run('INSERT INTO octoflow_queues (name, created_at) VALUES (?, ?)', name, now)
    return this.findQueue(name)!
  }

  queueById(id: number): QueueRow {
    const known = this.#queues.get(id)
    if (known !== undefined) return known
    const record = this.db.row<QueueRecord>(`${SELECT_QUEUE} WHERE id = ?`, id)
    if (record === undefined) throw new Error(`queue ${id} is named by a job but does not exist`)
    return this.#remember(new QueueRow(record))
  }

  /** Notes that a job changes its stage; `null` stands for not being there. */
  move(queue: QueueRow, key: string | null, from: Stage | null, to: Stage | null): void {
    this.count(queue, from, to)
    if (key !== null) this.lanes.move(queue, key, from, to)
  }

  /** The part of `move` that concerns the queue. */
  count(queue: QueueRow, from: Stage | null, to: Stage | null): void {
    if (to === Stage.scheduled) queue.nextTimeMoved = true
    if (from === to) return
    if (from !== null) queue.counts[from]!--
    if (to !== null) queue.counts[to]!++
    if (to === Stage.ready) queue.becameReady++
    if (from === Stage.running) queue.placesFreed++
    queue.countsChanged = true
  }

  /** What happens in the minute; the caller adds to it. */
  stats(queue: QueueRow, now: Instant): StatsRow {
    const minute = Math.floor(now / MINUTE)
    const last = queue.stats
    if (last !== null && last.minute === minute) return last
    const row = new StatsRow(queue.id, minute)
    this.#sums.push(row)
    queue.stats = row
    return row
  }

  /** Writes what was gathered. The last thing before the commit. */
  flush(): void {
    this.lanes.flush()
    this.logEvents.flush()
    for (const queue of this.#queues.values()) if (queue.countsChanged) this.db.run(UPDATE_COUNTS, ...queue.counts, queue.id)
    for (const row of this.#sums)
      for (const span of STATS_SPANS) {
        const start = row.minute - (row.minute % span)
        this.db.run(ADD_STATS, row.queueId, span, start, ...STATS_COLUMNS.map((column) => row[column]))
      }
    if (this.#sequenceUsed)
      this.db.run('UPDATE octoflow_sequence SET next_id = ?, last_at = ?', this.#sequence!.nextId, this.#sequence!.lastAt)
  }

  /** Queues that are worth claiming from again, and by how many callers. */
  ready(): { readonly queue: string; readonly count: number }[] {
    return [...this.#queues.values()]
      .map((queue) => ({ queue: queue.name, count: queue.worthClaims() }))
      .filter(({ count }) => count > 0)
  }

  #readSequence(): Sequence {
    const [nextId, lastAt] = this.db.row<[number, number]>('SELECT next_id, last_at FROM octoflow_sequence')!
    return { nextId, lastAt }
  }

  #remember(queue: QueueRow): QueueRow {
    this.#queues.set(queue.id, queue)
    this.#queuesByName.set(queue.name, queue)
    return queue
  }
}

interface Sequence {
  nextId: number
  lastAt: Instant
}

export const SELECT_QUEUE = `SELECT id, name, created_at, version, paused, concurrency, key_concurrency, rate_limit,
  key_rate_limit, max_attempts, backoff, retention, handler, review, ready, scheduled, held, running, completed, cancelled, dead
  FROM octoflow_queues`

export type QueueRecord = readonly [...SharedRecord, review: string | null, ...counts: number[]]

const COUNTS_BEGIN = 14

/** A queue as one transaction sees it, with the counts as they will be when it commits. */
export class QueueRow {
  readonly id: number
  readonly name: string
  readonly createdAt: Instant
  version: number
  readonly settings: QueueSettings
  /** The first key whose lane has yet to be looked at under new limits; `null` when all have been. */
  review: string | null
  /** By stage. */
  readonly counts: number[]
  countsChanged = false
  becameReady = 0
  /** How many jobs stopped running. */
  placesFreed = 0
  /** Whether the time at which the next job may start was set, and so may be nearer than claimants were told. */
  nextTimeMoved = false
  /** Whether what is due has been made ready. */
  promoted = false
  /** The roll-up that was added to last. */
  stats: StatsRow | null = null

  constructor(record: QueueRecord) {
    this.id = record[0]
    this.name = record[1]
    this.createdAt = record[2]
    this.version = record[3]
    this.settings = settingsOf(record)
    this.review = record[13]
    this.counts = record.slice(COUNTS_BEGIN) as number[]
  }

  /** How many claims would be answered differently now than before the transaction. */
  worthClaims(): number {
    const limited = this.settings.concurrency !== null
    const places = limited ? Math.min(this.placesFreed, this.counts[Stage.ready]!) : 0
    return Math.max(this.becameReady, places) + (this.nextTimeMoved ? 1 : 0)
  }
}

/** The minutes that a row of `octoflow_stats` sums over: itself, or the hour. */
const STATS_SPANS = [1, 60] as const

const UPDATE_COUNTS = `UPDATE octoflow_queues
  SET ready = ?, scheduled = ?, held = ?, running = ?, completed = ?, cancelled = ?, dead = ? WHERE id = ?`

const ADD_STATS = `INSERT INTO octoflow_stats (queue_id, span, start, ${STATS_COLUMNS.join(', ')})
  VALUES (?, ?, ?${', ?'.repeat(STATS_COLUMNS.length)})
  ON CONFLICT DO UPDATE SET ${STATS_COLUMNS.map((column) => `${column} = ${column} + excluded.${column}`).join(', ')}`
