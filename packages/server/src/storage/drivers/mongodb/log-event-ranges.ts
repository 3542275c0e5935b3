import type { Document } from 'mongodb'
import type { LogEvent } from '../../../model/log-event.ts'
import type { LogEventPlace } from '../../contract/log-events.ts'
import type { LogEventOutline, LogEventReader, Order, Range, Time } from '../../sql/log-event-reader.ts'
import type { CountedSpan } from '../../sql/log-event-spans.ts'
import type { Connection } from './connection.ts'
import { toFields, toLogEvents } from './log-event-documents.ts'

export class MongoLogEventReader implements LogEventReader {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  count(range: Range, time: Time, atMost: number): Promise<number> {
    return this.#connection.run(async () =>
      (await this.#connection.collection('logEvents')).countDocuments(within(range, time), { limit: atMost }),
    )
  }

  async nth(range: Range, time: Time, order: Order, n: number): Promise<LogEventPlace | null> {
    const place = { sort: inOrder(order), skip: n - 1, limit: 1, projection: { at: 1, sequence: 1 } }
    const [found] = await this.#connection.query('logEvents', { filter: within(range, time), ...place })
    return found === undefined ? null : { at: found.at, sequence: found.sequence }
  }

  async outlines(
    range: Range,
    time: Time,
    order: Order,
    after: LogEventPlace | null,
    limit: number,
  ): Promise<readonly LogEventOutline[]> {
    const filter = after === null ? within(range, time) : beyond(range, time, order, after)
    const query = { filter, sort: inOrder(order), limit, projection: { document: 0 } }
    const found = await this.#connection.query('logEvents', query)
    return found.map((document) => ({ ...document, fields: toFields(document) }))
  }

  async load(sequences: readonly number[]): Promise<ReadonlyMap<number, LogEvent>> {
    if (sequences.length === 0) return new Map()
    const found = await this.#connection.find('logEvents', { filter: { sequence: { $in: sequences } } })
    const events = await toLogEvents(this.#connection, found)
    return new Map(events.map(({ sequence, ...event }) => [sequence, event]))
  }

  async sum(spans: readonly CountedSpan[], type: string | undefined): Promise<number> {
    if (spans.length === 0) return 0
    const match = { $match: { $or: spans.map((span) => counted(span, type)) } }
    const [sum] = await this.#roll([match, { $group: { _id: null, events: { $sum: '$events' } } }])
    return sum?.events ?? 0
  }

  async reach(span: CountedSpan, type: string | undefined, order: Order, n: number) {
    const sums = await this.#roll([
      { $match: counted(span, type) },
      { $group: { _id: '$start', events: { $sum: '$events' } } },
      { $sort: { _id: order === 'asc' ? 1 : -1 } },
    ])
    let passed = 0
    for (const { _id: start, events } of sums) {
      if (passed + events >= n) return { start, passed }
      passed += events
    }
    return null
  }

  /** What a pipeline makes of the roll-ups: of days there are some thousands, of the minutes of a day fewer. */
  #roll(pipeline: Document[]): Promise<{ readonly _id: number; readonly events: number }[]> {
    return this.#connection.run(async () =>
      (await this.#connection.collection('logEventCounts'))
        .aggregate<{ readonly _id: number; readonly events: number }>(pipeline)
        .toArray(),
    )
  }
}

/** Of an event that was deleted there is no time, so it is in no range. */
const within = (range: Range, { since = Number.MIN_SAFE_INTEGER, until }: Time): Document => ({
  ...conditionOf(range),
  at: { $gte: since, ...(until !== undefined && { $lt: until }) },
})

/** What has the time of the place and comes after it, and what has a later time: two ranges of the index, merged by the database. */
function beyond(range: Range, { since, until }: Time, order: Order, { at, sequence }: LogEventPlace): Document {
  const condition = conditionOf(range)
  const [same, other] =
    order === 'asc'
      ? [{ $gt: sequence }, { $gt: at, ...(until !== undefined && { $lt: until }) }]
      : [{ $lt: sequence }, { $lt: at, ...(since !== undefined && { $gte: since }) }]
  return {
    $or: [
      { ...condition, at, sequence: same },
      { ...condition, at: other },
    ],
  }
}

const conditionOf = (range: Range): Document => (range === null ? {} : { [range.column]: range.value })

const inOrder = (order: Order) => (order === 'asc' ? ({ at: 1, sequence: 1 } as const) : ({ at: -1, sequence: -1 } as const))

const counted = ({ span, first, beyond }: CountedSpan, type: string | undefined): Document => ({
  span,
  start: { $gte: first, $lt: beyond },
  ...(type !== undefined && { type }),
})
