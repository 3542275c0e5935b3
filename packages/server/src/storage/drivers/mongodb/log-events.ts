import type { LogEvent } from '../../../model/log-event.ts'
import type { LogEventCount, LogEventPage, LogEventStore, LogEventsFollowed } from '../../contract/log-events.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import { countLogEvents, listLogEvents } from '../../sql/log-event-listing.ts'
import { readMark } from '../../sql/log-event-marks.ts'
import { ALL_TIME } from '../../sql/log-event-spans.ts'
import type { Connection } from './connection.ts'
import { ARRIVALS, toLogEvents } from './log-event-documents.ts'
import { MongoLogEventReader } from './log-event-ranges.ts'
import { readWhole } from './texts.ts'
import type { Writer } from './writer.ts'

/** So many events, and so many characters, weigh as much as another write. */
const LIGHT = 10
const CHARACTERS = 16_000

type Params<Verb extends keyof LogEventStore> = Parameters<LogEventStore[Verb]>[0]

/**
 * A mark is a sequence. Events get theirs in the order of the journal, and are followed up to the last one of the last commit that
 * has all of them in their places.
 */
export class MongoLogEvents implements LogEventStore {
  readonly #connection: Connection
  readonly #writer: Writer
  readonly #reader: MongoLogEventReader

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
    this.#reader = new MongoLogEventReader(connection)
  }

  append({ events }: Params<'append'>): Promise<readonly boolean[]> {
    return this.#writer.write(({ logEvents }) => logEvents.append(events), weightOf(events))
  }

  find({ ids }: Params<'find'>): Promise<readonly LogEvent[]> {
    return readWhole(async () => {
      const found = await toLogEvents(this.#connection, await this.#connection.findByIds('logEvents', ids))
      return found.map(({ sequence: _, ...event }) => event)
    })
  }

  list(params: Params<'list'>): Promise<LogEventPage> {
    return readWhole(() => listLogEvents(this.#reader, params))
  }

  count({ filter }: Params<'count'>): Promise<LogEventCount> {
    return countLogEvents(this.#reader, filter)
  }

  async types(): ReturnType<LogEventStore['types']> {
    const counts = await this.#connection.find('logEventCounts', { filter: { span: ALL_TIME }, sort: { type: 1 } })
    return counts.map(({ type, events: count }) => ({ type, count }))
  }

  follow(params: Params<'follow'>): Promise<LogEventsFollowed | null> {
    return readWhole(() => this.#follow(params))
  }

  async end(): Promise<string> {
    return String(await this.#last())
  }

  async mark({ follower }: Params<'mark'>): Promise<string | null> {
    const [found] = await this.#connection.findByIds('logEventFollowers', [follower])
    return found === undefined ? null : String(found.sequence)
  }

  advance({ follower, from, to }: Params<'advance'>): Promise<boolean> {
    return this.#writer.write(async ({ tables: { logEventFollowers } }) => {
      const stood = (await logEventFollowers.get(follower))?.sequence ?? null
      if (from !== (stood === null ? null : String(stood))) return false
      logEventFollowers.put({ _id: follower, sequence: Number(to) })
      return true
    })
  }

  prune({ now, type, before, limit }: Params<'prune'>): Promise<number> {
    return this.#writer.write(({ logEvents }) => logEvents.prune(type, before, limit, now), Math.ceil(limit / LIGHT))
  }

  async #follow({ after, limit }: Params<'follow'>): Promise<LogEventsFollowed | null> {
    const begin = after === null ? 0 : readMark(after)
    const last = await this.#last()
    if (begin === null || begin > last) return null
    const arrived = { filter: { sequence: { $gt: begin, $lte: last } }, sort: { sequence: 1 }, limit } as const
    const found = await this.#connection.take('logEvents', arrived, ({ size }) => size, CHARACTERS_AT_ONCE)
    const events = (await toLogEvents(this.#connection, found)).map(({ sequence, ...event }) => {
      return { ...event, mark: String(sequence) }
    })
    return { events, mark: events.at(-1)?.mark ?? String(last) }
  }

  /** The sequence up to which all events are in their places. */
  async #last(): Promise<number> {
    const [arrivals] = await this.#connection.findByIds('logEventArrivals', [ARRIVALS])
    return arrivals?.sequence ?? 0
  }
}

const weightOf = (events: readonly LogEvent[]): number =>
  1 + events.length / LIGHT + events.reduce((sum, { document }) => sum + document.length, 0) / CHARACTERS
