import type { LogEvent } from '../../../model/log-event.ts'
import type { LogEventCount, LogEventPage, LogEventStore, LogEventsFollowed } from '../../contract/log-events.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import { readMark } from '../../sql/log-event-marks.ts'
import type { Database } from './database.ts'
import { countLogEvents, listLogEvents } from './log-event-listing.ts'
import { countTypes } from './log-event-roll-ups.ts'
import { type LogEventRow, SELECT_LOG_EVENT, toLogEvent } from './log-event-rows.ts'
import type { Writer } from './writer.ts'

/** So many events take as long as another write. */
const LIGHT = 4

type Params<Verb extends keyof LogEventStore> = Parameters<LogEventStore[Verb]>[0]

/** A mark is a sequence: one process writes, so events arrive in the order of theirs. */
export class SqliteLogEvents implements LogEventStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  append({ events }: Params<'append'>): Promise<readonly boolean[]> {
    return this.#writer.write(({ logEvents }) => logEvents.append(events), Math.ceil(events.length / LIGHT))
  }

  async find({ ids }: Params<'find'>): Promise<readonly LogEvent[]> {
    return ids
      .map((id) => this.#db.get<LogEventRow>(`${SELECT_LOG_EVENT} WHERE id = ?`, id))
      .filter((row) => row !== undefined)
      .map(toLogEvent)
  }

  async list(params: Params<'list'>): Promise<LogEventPage> {
    return listLogEvents(this.#db, params)
  }

  async count({ filter }: Params<'count'>): Promise<LogEventCount> {
    return countLogEvents(this.#db, filter)
  }

  async types(): ReturnType<LogEventStore['types']> {
    return countTypes(this.#db)
  }

  async follow({ after, limit }: Params<'follow'>): Promise<LogEventsFollowed | null> {
    const begin = after === null ? 0 : readMark(after)
    if (begin === null || begin > this.#last()) return null
    const events: LogEventsFollowed['events'][number][] = []
    let size = 0
    for (const row of this.#db.iterate<LogEventRow>(SELECT_ARRIVED, begin, limit)) {
      events.push({ ...toLogEvent(row), mark: String(row.sequence) })
      size += row.document.length
      if (size >= CHARACTERS_AT_ONCE) break
    }
    return { events, mark: events.at(-1)?.mark ?? String(begin) }
  }

  async end(): Promise<string> {
    return String(this.#last())
  }

  async mark({ follower }: Params<'mark'>): Promise<string | null> {
    const sequence = findFollower(this.#db, follower)
    return sequence === null ? null : String(sequence)
  }

  advance({ follower, from, to }: Params<'advance'>): Promise<boolean> {
    return this.#writer.write(({ db }) => {
      const stood = findFollower(db, follower)
      if (from !== (stood === null ? null : String(stood))) return false
      db.run('INSERT OR REPLACE INTO octoflow_log_event_followers (name, sequence) VALUES (?, ?)', follower, Number(to))
      return true
    })
  }

  prune({ type, before, limit }: Params<'prune'>): Promise<number> {
    return this.#writer.write(
      ({ db, logEvents }) => {
        logEvents.settle()
        const rows = db.all<Pick<LogEventRow, 'sequence' | 'type' | 'at'>>(SELECT_OUTLIVED, type, before, limit)
        if (rows.length > 0) logEvents.remove(rows)
        return rows.length
      },
      Math.ceil(limit / LIGHT),
    )
  }

  #last(): number {
    return this.#db.row<[number]>('SELECT next - 1 FROM octoflow_log_event_sequence')![0]
  }
}

const findFollower = (db: Database, name: string): number | null =>
  db.row<[number]>('SELECT sequence FROM octoflow_log_event_followers WHERE name = ?', name)?.[0] ?? null

const SELECT_ARRIVED = `${SELECT_LOG_EVENT} WHERE sequence > ? ORDER BY sequence LIMIT ?`

const SELECT_OUTLIVED =
  'SELECT sequence, type, at FROM octoflow_log_events WHERE type = ? AND at < ? ORDER BY at, sequence LIMIT ?'
