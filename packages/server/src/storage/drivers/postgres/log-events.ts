import type { LogEvent } from '../../../model/log-event.ts'
import type { LogEventCount, LogEventPage, LogEventStore, LogEventsFollowed } from '../../contract/log-events.ts'
import { Coalescer } from '../../sql/coalescer.ts'
import { LOG_EVENT_COLUMNS, type LogEventRow, toLogEvent } from '../../sql/log-event-columns.ts'
import { countLogEvents, listLogEvents } from '../../sql/log-event-listing.ts'
import { readMark } from '../../sql/log-event-marks.ts'
import { fitting } from '../../sql/paging.ts'
import type { Queryable } from './connection.ts'
import type { Database } from './database.ts'
import { PostgresLogEventReader } from './log-event-ranges.ts'
import { countTypes } from './log-event-roll-ups.ts'
import type { Transaction } from './transaction.ts'
import { textArray } from './values.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof LogEventStore> = Parameters<LogEventStore[Verb]>[0]

/** Events that one transaction stores, and how many characters weigh as much as an event. */
const TOGETHER = 1000
const CHARACTERS_AN_EVENT = 4000

/** A mark is a sequence. Those of transactions that have not ended yet are not followed, nor is what comes after them. */
export class PostgresLogEvents implements LogEventStore {
  readonly #db: Database
  readonly #writer: Writer
  readonly #appends: Coalescer<readonly LogEvent[], readonly boolean[]>

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
    this.#appends = new Coalescer((calls) => writer.transact((transaction) => append(transaction, calls)), weightOf, TOGETHER)
  }

  append({ events }: Params<'append'>): Promise<readonly boolean[]> {
    return this.#db.underWay(() => this.#appends.do(events))
  }

  async find({ ids }: Params<'find'>): Promise<readonly LogEvent[]> {
    return (await this.#db.rows<LogEventRow>(SELECT_BY_ID, textArray(ids))).map(toLogEvent)
  }

  list(params: Params<'list'>): Promise<LogEventPage> {
    return this.#db.reading((connection) => listLogEvents(new PostgresLogEventReader(connection), params))
  }

  count({ filter }: Params<'count'>): Promise<LogEventCount> {
    return this.#db.reading((connection) => countLogEvents(new PostgresLogEventReader(connection), filter))
  }

  types(): ReturnType<LogEventStore['types']> {
    return countTypes(this.#db)
  }

  follow({ after, limit }: Params<'follow'>): Promise<LogEventsFollowed | null> {
    const begin = after === null ? 0 : readMark(after)
    return this.#db.reading(async (connection) => {
      const { given, complete } = await arrivals(connection)
      if (begin === null || begin > given) return null
      const sizes = await connection.rows<[sequence: number, size: number]>(SELECT_ARRIVED, begin, complete, limit)
      const fit = fitting(
        sizes.map(([, size]) => size),
        limit,
      )
      const sequences = sizes.slice(0, fit).map(([sequence]) => sequence)
      const loaded = await new PostgresLogEventReader(connection).load(sequences)
      const events = sequences.flatMap((sequence) => {
        const event = loaded.get(sequence)
        return event === undefined ? [] : [{ ...event, mark: String(sequence) }]
      })
      return { events, mark: String(sequences.at(-1) ?? begin) }
    })
  }

  end(): Promise<string> {
    return this.#db.reading(async (connection) => {
      const { complete } = await arrivals(connection)
      const [row] = await connection.rows<[number]>(SELECT_LAST, complete)
      return String(row?.[0] ?? 0)
    })
  }

  async mark({ follower }: Params<'mark'>): Promise<string | null> {
    const [row] = await this.#db.rows<[number]>(SELECT_FOLLOWER, follower)
    return row === undefined ? null : String(row[0])
  }

  advance({ follower, from, to }: Params<'advance'>): Promise<boolean> {
    return this.#writer.write(async (transaction) => {
      const advanced =
        from === null
          ? await transaction.rows(INSERT_FOLLOWER, follower, Number(to))
          : await transaction.rows(ADVANCE_FOLLOWER, follower, readMark(from), Number(to))
      return advanced.length > 0
    })
  }

  prune({ type, before, limit }: Params<'prune'>): Promise<number> {
    return this.#writer.write((transaction) => transaction.logEvents.prune(type, before, limit))
  }
}

const weightOf = (events: readonly LogEvent[]): number =>
  events.reduce((sum, { document }) => sum + 1 + document.length / CHARACTERS_AN_EVENT, 0)

async function append(
  transaction: Transaction,
  calls: readonly (readonly LogEvent[])[],
): Promise<readonly (readonly boolean[])[]> {
  const stored = await transaction.logEvents.append(calls.flat())
  const answers = stored.values()
  return calls.map(({ length }) => [...answers.take(length)])
}

/** What is read afterwards has all that is complete. */
async function arrivals(from: Queryable): Promise<{ readonly given: number; readonly complete: number }> {
  const [given, complete] = (await from.rows<[number, number]>(SELECT_COMPLETE))[0]!
  return { given, complete }
}

const SELECT_BY_ID = `SELECT ${LOG_EVENT_COLUMNS} FROM octoflow_log_events WHERE id = ANY ($1::text[])`

const SELECT_COMPLETE = 'SELECT given, complete FROM octoflow_complete_log_events()'

const SELECT_ARRIVED = `SELECT sequence, octet_length(document) FROM octoflow_log_events
  WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3`

const SELECT_LAST = 'SELECT sequence FROM octoflow_log_events WHERE sequence <= $1 ORDER BY sequence DESC LIMIT 1'

const SELECT_FOLLOWER = 'SELECT sequence FROM octoflow_log_event_followers WHERE name = $1'

const INSERT_FOLLOWER = `INSERT INTO octoflow_log_event_followers (name, sequence) VALUES ($1, $2)
  ON CONFLICT (name) DO NOTHING RETURNING 1`

const ADVANCE_FOLLOWER = `UPDATE octoflow_log_event_followers SET sequence = $3 WHERE name = $1 AND sequence = $2 RETURNING 1`
