import type { LogEvent } from '../../../model/log-event.ts'
import type { LogEventCount, LogEventPage, LogEventStore, LogEventsFollowed } from '../../contract/log-events.ts'
import { Coalescer } from '../../sql/coalescer.ts'
import { LOG_EVENT_COLUMNS, type LogEventRow, toLogEvent } from '../../sql/log-event-columns.ts'
import { countLogEvents, listLogEvents } from '../../sql/log-event-listing.ts'
import { readMark } from '../../sql/log-event-marks.ts'
import { fitting } from '../../sql/paging.ts'
import type { Queryable } from './connection.ts'
import type { Database } from './database.ts'
import { MysqlLogEventReader } from './log-event-ranges.ts'
import { countTypes } from './log-event-roll-ups.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof LogEventStore> = Parameters<LogEventStore[Verb]>[0]

/** Events that one transaction stores, and how many characters weigh as much as an event. */
const TOGETHER = 1000
const CHARACTERS_AN_EVENT = 4000

/** A mark is a sequence: whoever appends holds it until the commit, so events are committed in the order of theirs. */
export class MysqlLogEvents implements LogEventStore {
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
    return (await this.#db.rows<LogEventRow>(SELECT_BY_ID, ids)).map(toLogEvent)
  }

  list(params: Params<'list'>): Promise<LogEventPage> {
    return this.#db.reading((connection) => listLogEvents(new MysqlLogEventReader(connection), params))
  }

  count({ filter }: Params<'count'>): Promise<LogEventCount> {
    return this.#db.reading((connection) => countLogEvents(new MysqlLogEventReader(connection), filter))
  }

  types(): ReturnType<LogEventStore['types']> {
    return countTypes(this.#db)
  }

  follow({ after, limit }: Params<'follow'>): Promise<LogEventsFollowed | null> {
    const begin = after === null ? 0 : readMark(after)
    return this.#db.reading(async (connection) => {
      const last = await lastSequence(connection)
      if (begin === null || begin > last) return null
      const sizes = await connection.rows<[sequence: number, size: number]>(SELECT_ARRIVED, begin, limit)
      const fit = fitting(
        sizes.map(([, size]) => size),
        limit,
      )
      const sequences = sizes.slice(0, fit).map(([sequence]) => sequence)
      const loaded = await new MysqlLogEventReader(connection).load(sequences)
      const events = sequences.flatMap((sequence) => {
        const event = loaded.get(sequence)
        return event === undefined ? [] : [{ ...event, mark: String(sequence) }]
      })
      return { events, mark: String(sequences.at(-1) ?? begin) }
    })
  }

  async end(): Promise<string> {
    return String(await lastSequence(this.#db))
  }

  async mark({ follower }: Params<'mark'>): Promise<string | null> {
    const [row] = await this.#db.rows<[number]>(SELECT_FOLLOWER, follower)
    return row === undefined ? null : String(row[0])
  }

  advance({ follower, from, to }: Params<'advance'>): Promise<boolean> {
    return this.#writer.write(async (transaction) => {
      const [row] = await transaction.rows<[number]>(`${SELECT_FOLLOWER} FOR UPDATE`, follower)
      if (from !== (row === undefined ? null : String(row[0]))) return false
      // Where another one's is inserted meanwhile this meets it and is run again.
      if (row === undefined) transaction.send(INSERT_FOLLOWER, follower, Number(to))
      else transaction.send(ADVANCE_FOLLOWER, Number(to), follower)
      return true
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

async function lastSequence(from: Queryable): Promise<number> {
  return (await from.rows<[number]>('SELECT next - 1 FROM octoflow_log_event_sequence'))[0]![0]
}

const SELECT_BY_ID = `SELECT ${LOG_EVENT_COLUMNS} FROM octoflow_log_events WHERE id IN (?)`

const SELECT_ARRIVED = `SELECT sequence, size FROM octoflow_log_events FORCE INDEX (PRIMARY)
  WHERE sequence > ? ORDER BY sequence LIMIT ?`

const SELECT_FOLLOWER = 'SELECT sequence FROM octoflow_log_event_followers WHERE name = ?'

const INSERT_FOLLOWER = 'INSERT INTO octoflow_log_event_followers (name, sequence) VALUES (?, ?)'

const ADVANCE_FOLLOWER = 'UPDATE octoflow_log_event_followers SET sequence = ? WHERE name = ?'
