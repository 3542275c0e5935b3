import type { Instant } from '../../../lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEvent } from '../../../model/log-event.ts'
import type { LogEventRecord } from '../../contract/transfer.ts'
import { LOG_EVENT_COLUMNS } from '../../sql/log-event-columns.ts'
import { LogEventCounts } from '../../sql/log-event-counts.ts'
import type { Transaction } from './transaction.ts'
import { array, numbers, textArray } from './values.ts'

/** What a transaction does to log events. Their counts are written once, at its end. */
export class LogEventRows {
  readonly #transaction: Transaction
  readonly #counts = new LogEventCounts()
  #appended = false

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  /** Whether its end may have made something ready to be followed, be it only by being out of the way. */
  get appended(): boolean {
    return this.#appended
  }

  /** @returns for each whether it was stored. */
  async append(events: readonly LogEvent[]): Promise<boolean[]> {
    if (events.length === 0) return []
    this.#appended = true
    const [row] = await this.#transaction.rows<[string | null]>(APPEND, events.length, ...columnsOf(events))
    const places = row![0] === null ? null : new Set(numbers(row![0]))
    const stored = events.map((_, index) => places === null || places.has(index))
    for (const [index, event] of events.entries()) if (stored[index]) this.#counts.add(event, 1)
    return stored
  }

  /** Puts events of another database in, under the sequences that they had there. */
  restore(events: readonly LogEventRecord[]): void {
    this.#transaction.send(RESTORE, array(events.map(({ sequence }) => sequence)), ...columnsOf(events))
    for (const event of events) this.#counts.add(event, 1)
  }

  /** @returns how many there were left to be deleted. */
  remove(sequences: readonly number[]): Promise<number> {
    return this.#delete(this.#transaction.rows(DELETE, array(sequences)))
  }

  /** @returns how many were deleted. */
  prune(type: string, before: Instant, limit: number): Promise<number> {
    return this.#delete(this.#transaction.rows(DELETE_OUTLIVED, type, before, limit))
  }

  /** @param slot of the connection. */
  save(slot: number): void {
    const changes = [...this.#counts.changes()]
    if (changes.length === 0) return
    this.#transaction.send(
      ADD_COUNTS,
      slot,
      array(changes.map(([span]) => span)),
      array(changes.map(([, start]) => start)),
      textArray(changes.map(([, , type]) => type)),
      array(changes.map(([, , , change]) => change)),
    )
  }

  async #delete(deleted: Promise<[type: string, at: Instant][]>): Promise<number> {
    const rows = await deleted
    for (const [type, at] of rows) this.#counts.add({ type, at }, -1)
    return rows.length
  }
}

/** The columns of `LOG_EVENT_COLUMNS`, each as an array. */
const columnsOf = (events: readonly LogEvent[]): string[] => [
  textArray(events.map(({ id }) => id)),
  textArray(events.map(({ type }) => type)),
  array(events.map(({ at }) => at)),
  ...LOG_EVENT_FIELDS.map((field) => textArray(events.map(({ fields }) => fields[field] ?? null))),
  textArray(events.map(({ document }) => document)),
]

const GIVEN = `unnest($2::text[], $3::text[], $4::bigint[], ${LOG_EVENT_FIELDS.map((_, index) => `$${index + 5}::text[]`).join(', ')},
    $${LOG_EVENT_FIELDS.length + 5}::text[]) WITH ORDINALITY AS e (${LOG_EVENT_COLUMNS}, n)`

// In order of their ids, so that transactions with the same ones wait for each other in one direction only. Tells which were
// stored only where not all were.
const APPEND = `WITH allocated AS MATERIALIZED (SELECT octoflow_allocate_log_events($1) AS first),
  stored AS (
    INSERT INTO octoflow_log_events (sequence, ${LOG_EVENT_COLUMNS})
    SELECT first + n - 1, ${LOG_EVENT_COLUMNS} FROM allocated, ${GIVEN} ORDER BY id COLLATE "C", n
    ON CONFLICT (id) DO NOTHING RETURNING sequence)
  SELECT CASE WHEN count(*) < $1 THEN coalesce(array_agg(sequence - (SELECT first FROM allocated)), '{}') END FROM stored`

const RESTORE = `INSERT INTO octoflow_log_events (sequence, ${LOG_EVENT_COLUMNS})
  SELECT ($1::bigint[])[n], ${LOG_EVENT_COLUMNS} FROM ${GIVEN}`

// Locked in the same order by all who delete.
const deleting = (locked: string): string => `WITH locked AS MATERIALIZED (${locked})
  DELETE FROM octoflow_log_events e USING locked WHERE e.sequence = locked.sequence RETURNING e.type, e.at`

const DELETE = deleting(`SELECT sequence FROM octoflow_log_events WHERE sequence = ANY ($1::bigint[])
    ORDER BY sequence FOR UPDATE`)

const DELETE_OUTLIVED = deleting(`SELECT sequence FROM octoflow_log_events WHERE type = $1 AND at < $2
    ORDER BY at, sequence LIMIT $3 FOR UPDATE SKIP LOCKED`)

const ADD_COUNTS = `INSERT INTO octoflow_log_event_counts AS c (slot, span, start, type, events)
  SELECT $1::integer, * FROM unnest($2::integer[], $3::integer[], $4::text[], $5::bigint[])
  ON CONFLICT (span, start, type, slot) DO UPDATE SET events = c.events + excluded.events`
