import type { Instant } from '../../../lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEvent, type LogEventField } from '../../../model/log-event.ts'
import { LogEventCounts } from '../../sql/log-event-counts.ts'
import type { Database, Value } from './database.ts'

/** Rows inserted with one statement, which costs about as much as a row. */
const TOGETHER = 10

/** An event that is yet to be inserted, and where to say whether it was. */
interface Gathered {
  readonly event: LogEvent
  readonly sequence: number
  readonly stored: boolean[]
  readonly index: number
}

const NONE: ReadonlySet<number> = new Set()

/** What a transaction does to log events. Their counts and the sequence are written once, at its end. */
export class LogEventRows {
  readonly #db: Database
  readonly #counts = new LogEventCounts()
  #gathered: Gathered[] = []
  #next: number | null = null
  #appended = false

  constructor(db: Database) {
    this.#db = db
  }

  /** Whether there is something new to be followed. */
  get appended(): boolean {
    return this.#appended
  }

  /** The sequence that the next event will get. */
  upcoming(): number {
    this.#next ??= this.#db.row<[number]>('SELECT next FROM octoflow_log_event_sequence')![0]
    return this.#next
  }

  /**
   * Inserts events, with those of other appends in one statement.
   * @returns for each whether it was stored; filled in by `settle`.
   */
  append(events: readonly LogEvent[]): boolean[] {
    const stored = Array<boolean>(events.length).fill(false)
    this.#next = this.upcoming()
    for (const [index, event] of events.entries()) {
      this.#gathered.push({ event, sequence: this.#next++, stored, index })
      if (this.#gathered.length === TOGETHER) this.settle()
    }
    return stored
  }

  /** Inserts what was gathered. To be called before log events are read. */
  settle(): void {
    const gathered = this.#gathered
    if (gathered.length === 0) return
    this.#gathered = []
    const values: Value[] = []
    for (const { event, sequence } of gathered) pushRow(values, event, sequence)
    const inserted = this.#db.run(INSERTS[gathered.length]!, ...values)
    // Whose id was taken has no row under its sequence.
    const missing = inserted === gathered.length ? NONE : this.#missing(gathered)
    for (const { event, sequence, stored, index } of gathered) {
      if (missing.has(sequence)) continue
      stored[index] = true
      this.#counts.add(event, 1)
    }
    this.#appended = true
  }

  /** Puts an event of another database in, under the sequence that it had there. */
  restore(event: LogEvent, sequence: number): void {
    this.#db.run(INSERTS[1]!, ...toRow(event, sequence))
    this.#counts.add(event, 1)
  }

  remove(rows: readonly { readonly sequence: number; readonly type: string; readonly at: Instant }[]): void {
    this.#db.run(DELETE, `[${rows.map(({ sequence }) => sequence).join()}]`)
    for (const row of rows) this.#counts.add(row, -1)
  }

  flush(): void {
    this.settle()
    for (const [span, start, type, change] of this.#counts.changes()) {
      this.#db.run(ADD_COUNT, span, start, type, change)
      if (change < 0) this.#db.run(DELETE_EMPTY_COUNT, span, start, type)
    }
    if (this.#appended) this.#db.run('UPDATE octoflow_log_event_sequence SET next = ?', this.#next)
  }

  #missing(gathered: readonly Gathered[]): ReadonlySet<number> {
    const [first, last] = [gathered[0]!.sequence, gathered.at(-1)!.sequence]
    const found = new Set(this.#db.rows<[number]>(SELECT_INSERTED, first, last).flat())
    return new Set(gathered.map(({ sequence }) => sequence).filter((sequence) => !found.has(sequence)))
  }
}

export const LOG_EVENT_COLUMNS = ['sequence', 'id', 'type', 'at', ...LOG_EVENT_FIELDS, 'document'] as const

const toRow = (event: LogEvent, sequence: number): Value[] => {
  const values: Value[] = []
  pushRow(values, event, sequence)
  return values
}

/** In the order of `LOG_EVENT_COLUMNS`. */
function pushRow(values: Value[], { id, type, at, fields, document }: LogEvent, sequence: number): void {
  values.push(sequence, id, type, at)
  for (const field of LOG_EVENT_FIELDS) values.push(fields[field] ?? null)
  values.push(document)
}

export type LogEventRow = { readonly [Field in LogEventField]: string | null } & {
  readonly sequence: number
  readonly id: string
  readonly type: string
  readonly at: Instant
  readonly document: string
}

export function toLogEvent(row: LogEventRow): LogEvent {
  const { id, type, at, document } = row
  const fields: Partial<Record<LogEventField, string>> = {}
  for (const field of LOG_EVENT_FIELDS) {
    const value = row[field]
    if (value !== null) fields[field] = value
  }
  return { id, type, at, fields, document }
}

export const SELECT_LOG_EVENT = `SELECT ${LOG_EVENT_COLUMNS.join()} FROM octoflow_log_events`

const ROW = `(${LOG_EVENT_COLUMNS.map(() => '?').join()})`

const insertOf = (rows: number): string =>
  `INSERT INTO octoflow_log_events (${LOG_EVENT_COLUMNS.join()}) VALUES ${Array(rows).fill(ROW).join()} ON CONFLICT (id) DO NOTHING`

/** By the number of rows. */
const INSERTS = Array.from({ length: TOGETHER + 1 }, (_, rows) => insertOf(rows))

const SELECT_INSERTED = 'SELECT sequence FROM octoflow_log_events WHERE sequence BETWEEN ? AND ?'

const DELETE = 'DELETE FROM octoflow_log_events WHERE sequence IN (SELECT value FROM json_each(?))'

const ADD_COUNT = `INSERT INTO octoflow_log_event_counts (span, start, type, events) VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET events = events + excluded.events`

const DELETE_EMPTY_COUNT = 'DELETE FROM octoflow_log_event_counts WHERE span = ? AND start = ? AND type = ? AND events = 0'
