import { type Instant, MAX_INSTANT, MIN_INSTANT } from '../../../lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEvent } from '../../../model/log-event.ts'
import type { LogEventPlace } from '../../contract/log-events.ts'
import { LOG_EVENT_COLUMNS, type LogEventRow, toFields, toLogEvent } from '../../sql/log-event-columns.ts'
import type { LogEventOutline, LogEventReader, Order, Range, Time } from '../../sql/log-event-reader.ts'
import type { CountedSpan } from '../../sql/log-event-spans.ts'
import type { Queryable, Value } from './connection.ts'
import { array } from './values.ts'

/** The first instant, and what comes after the last. */
const FIRST = MIN_INSTANT
const BEYOND = MAX_INSTANT + 1

/** Less than every sequence. */
const NO_SEQUENCE = 0

export class PostgresLogEventReader implements LogEventReader {
  readonly #from: Queryable

  constructor(from: Queryable) {
    this.#from = from
  }

  async count(range: Range, { since, until }: Time, atMost: number): Promise<number> {
    const sql = `SELECT count(*) FROM (SELECT FROM octoflow_log_events WHERE ${within(range)} LIMIT $3) AS e`
    return (await this.#from.rows<[number]>(sql, since ?? FIRST, until ?? BEYOND, atMost, ...valuesOf(range)))[0]![0]
  }

  async nth(range: Range, { since, until }: Time, order: Order, n: number): Promise<LogEventPlace | null> {
    const sql = `SELECT at, sequence FROM octoflow_log_events WHERE ${within(range)} ${inOrder(order)} LIMIT 1 OFFSET $3`
    const values: Value[] = [since ?? FIRST, until ?? BEYOND, n - 1, ...valuesOf(range)]
    const [row] = await this.#from.rows<[at: Instant, sequence: number]>(sql, ...values)
    return row === undefined ? null : { at: row[0], sequence: row[1] }
  }

  async outlines(
    range: Range,
    { since = FIRST, until = BEYOND }: Time,
    order: Order,
    after: LogEventPlace | null,
    limit: number,
  ): Promise<readonly LogEventOutline[]> {
    const [from, end] = order === 'asc' ? [since, until] : [until, since]
    const { at, sequence } = after ?? { at: from, sequence: NO_SEQUENCE }
    const sql = `SELECT at, sequence, octet_length(document), type, ${FIELDS} FROM octoflow_log_events
      WHERE ${conditionOf(range, '$5')} AND ${BEYOND_PLACE[order]} ${inOrder(order)} LIMIT $4`
    const rows = await this.#from.rows<OutlineRow>(sql, at, sequence, end, limit, ...valuesOf(range))
    return rows.map(toOutline)
  }

  async load(sequences: readonly number[]): Promise<ReadonlyMap<number, LogEvent>> {
    if (sequences.length === 0) return new Map()
    const rows = await this.#from.rows<[sequence: number, ...LogEventRow]>(SELECT, array(sequences))
    return new Map(rows.map(([sequence, ...row]) => [sequence, toLogEvent(row)]))
  }

  async sum(spans: readonly CountedSpan[], type: string | undefined): Promise<number> {
    const sql = `SELECT coalesce(sum(c.events), 0) FROM unnest($1::integer[], $2::integer[], $3::integer[]) AS r (span, first, beyond)
      JOIN octoflow_log_event_counts c ON c.span = r.span AND c.start >= r.first AND c.start < r.beyond ${ofType(type, '$4')}`
    const values = [
      array(spans.map(({ span }) => span)),
      array(spans.map(({ first }) => first)),
      array(spans.map(({ beyond }) => beyond)),
    ]
    return (await this.#from.rows<[number]>(sql, ...values, ...(type === undefined ? [] : [type])))[0]![0]
  }

  async reach({ span, first, beyond }: CountedSpan, type: string | undefined, order: Order, n: number) {
    const sql = `SELECT start, (running - events) FROM (
        SELECT c.start, sum(c.events) AS events, sum(sum(c.events)) OVER (ORDER BY c.start ${order}) AS running
          FROM octoflow_log_event_counts c WHERE c.span = $1 AND c.start >= $2 AND c.start < $3 ${ofType(type, '$5')}
         GROUP BY c.start) AS counted
      WHERE running >= $4 ORDER BY start ${order} LIMIT 1`
    const values = [span, first, beyond, n, ...(type === undefined ? [] : [type])]
    const [row] = await this.#from.rows<[start: number, passed: number]>(sql, ...values)
    return row === undefined ? null : { start: row[0], passed: row[1] }
  }
}

type OutlineRow = readonly [at: Instant, sequence: number, size: number, type: string, ...fields: (string | null)[]]

const toOutline = ([at, sequence, size, type, ...fields]: OutlineRow): LogEventOutline => ({
  at,
  sequence,
  size,
  type,
  fields: toFields(fields),
})

/** Says what the index of the range says of itself; see the migration. */
const conditionOf = (range: Range, value: string): string =>
  range === null ? 'sequence + 0 > 0' : `${range.column} = ${value}`

const valuesOf = (range: Range): Value[] => (range === null ? [] : [range.value])

const within = (range: Range): string => `${conditionOf(range, '$4')} AND at >= $1 AND at < $2`

const inOrder = (order: Order): string => `ORDER BY at ${order}, sequence ${order}`

const BEYOND_PLACE: { readonly [order in Order]: string } = {
  asc: '(at, sequence) > ($1, $2) AND at < $3',
  desc: '(at, sequence) < ($1, $2) AND at >= $3',
}

const ofType = (type: string | undefined, value: string): string => (type === undefined ? '' : `AND c.type = ${value}`)

const FIELDS = LOG_EVENT_FIELDS.join(', ')

const SELECT = `SELECT sequence, ${LOG_EVENT_COLUMNS} FROM octoflow_log_events WHERE sequence = ANY ($1::bigint[])`
