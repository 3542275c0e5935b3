import type { Instant } from '../../../lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEvent } from '../../../model/log-event.ts'
import type { LogEventRecord } from '../../contract/transfer.ts'
import { LOG_EVENT_COLUMNS } from '../../sql/log-event-columns.ts'
import { LogEventCounts } from '../../sql/log-event-counts.ts'
import type { Transaction } from './transaction.ts'
import type { Scalar } from './values.ts'

/** What a transaction does to log events. Their counts are written once, at its end. */
export class LogEventRows {
  readonly #transaction: Transaction
  readonly #counts = new LogEventCounts()
  #appended = false

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  /** Whether there is something new to be followed. */
  get appended(): boolean {
    return this.#appended
  }

  /** @returns for each whether it was stored. */
  async append(events: readonly LogEvent[]): Promise<boolean[]> {
    if (events.length === 0) return []
    const [row] = await this.#transaction.rows<[number]>(LOCK_SEQUENCE)
    const [first] = row!
    const beyond = first + events.length
    this.#transaction.insert(
      INSERT,
      events.map((event, index) => rowOf(event, first + index)),
    )
    this.#transaction.send(ADVANCE_SEQUENCE, beyond)
    const [counted] = await this.#transaction.rows<[number]>(COUNT_STORED, first, beyond)
    const sequences = counted![0] === events.length ? null : await this.#storedFrom(first, beyond)
    const stored = events.map((_, index) => sequences === null || sequences.has(first + index))
    for (const [index, event] of events.entries()) if (stored[index]) this.#counts.add(event, 1)
    this.#appended ||= stored.includes(true)
    return stored
  }

  /** Puts events of another database in, under the sequences that they had there. */
  restore(events: readonly LogEventRecord[]): void {
    this.#transaction.insert(
      RESTORE,
      events.map((event) => rowOf(event, event.sequence)),
    )
    for (const event of events) this.#counts.add(event, 1)
  }

  /** @returns how many there were left to be deleted. */
  async remove(sequences: readonly number[]): Promise<number> {
    return this.#delete(await this.#transaction.rows(LOCK, sequences))
  }

  /** @returns how many were deleted. */
  async prune(type: string, before: Instant, limit: number): Promise<number> {
    return this.#delete(await this.#transaction.rows(LOCK_OUTLIVED, type, before, limit))
  }

  /** @param slot of the connection. */
  save(slot: number): void {
    const changes = [...this.#counts.changes()].map((change): Scalar[] => [slot, ...change])
    this.#transaction.insert(ADD_COUNTS, changes)
  }

  /** Whose id was taken has no row under its sequence. */
  async #storedFrom(first: number, beyond: number): Promise<ReadonlySet<number>> {
    return new Set((await this.#transaction.rows<[number]>(SELECT_STORED, first, beyond)).flat())
  }

  #delete(rows: readonly (readonly [sequence: number, type: string, at: Instant])[]): number {
    if (rows.length === 0) return 0
    this.#transaction.send(
      DELETE,
      rows.map(([sequence]) => sequence),
    )
    for (const [, type, at] of rows) this.#counts.add({ type, at }, -1)
    return rows.length
  }
}

const rowOf = ({ id, type, at, fields, document }: LogEvent, sequence: number): Scalar[] => [
  sequence,
  id,
  type,
  at,
  ...LOG_EVENT_FIELDS.map((field) => fields[field] ?? null),
  document,
  document.length,
]

const LOCK_SEQUENCE = 'SELECT next FROM octoflow_log_event_sequence WHERE one = 1 FOR UPDATE'

const ADVANCE_SEQUENCE = 'UPDATE octoflow_log_event_sequence SET next = ? WHERE one = 1'

const RESTORE = `INSERT INTO octoflow_log_events (sequence, ${LOG_EVENT_COLUMNS}, size) VALUES ?`

// Leaves alone the event that has the id; unlike INSERT IGNORE it passes over nothing else.
const INSERT = `${RESTORE} ON DUPLICATE KEY UPDATE size = octoflow_log_events.size`

const COUNT_STORED = 'SELECT COUNT(*) FROM octoflow_log_events FORCE INDEX (PRIMARY) WHERE sequence >= ? AND sequence < ?'

const SELECT_STORED = 'SELECT sequence FROM octoflow_log_events FORCE INDEX (PRIMARY) WHERE sequence >= ? AND sequence < ?'

// In the same order by all who delete.
const LOCK = `SELECT sequence, type, at FROM octoflow_log_events FORCE INDEX (PRIMARY) WHERE sequence IN (?)
  ORDER BY sequence FOR UPDATE`

const LOCK_OUTLIVED = `SELECT sequence, type, at FROM octoflow_log_events FORCE INDEX (octoflow_log_events_type)
  WHERE type = ? AND at < ? ORDER BY at, sequence LIMIT ? FOR UPDATE SKIP LOCKED`

const DELETE = 'DELETE FROM octoflow_log_events WHERE sequence IN (?)'

const ADD_COUNTS = `INSERT INTO octoflow_log_event_counts (slot, span, start, type, events)
  VALUES ? ON DUPLICATE KEY UPDATE events = events + VALUES(events)`
