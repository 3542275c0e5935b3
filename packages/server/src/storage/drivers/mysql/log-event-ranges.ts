import { type Instant, MAX_INSTANT, MIN_INSTANT } from '../../../lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEvent } from '../../../model/log-event.ts'
import type { LogEventPlace } from '../../contract/log-events.ts'
import { LOG_EVENT_COLUMNS, type LogEventRow, toFields, toLogEvent } from '../../sql/log-event-columns.ts'
import type { LogEventOutline, LogEventReader, Order, Range, Time } from '../../sql/log-event-reader.ts'
import type { CountedSpan } from '../../sql/log-event-spans.ts'
import type { Queryable } from './connection.ts'
import type { Value } from './values.ts'

/** The first instant, and what comes after the last. */
const FIRST = MIN_INSTANT
const BEYOND = MAX_INSTANT + 1

export class MysqlLogEventReader implements LogEventReader {
  readonly #from: Queryable

  constructor(from: Queryable) {
    this.#from = from
  }

  async count(range: Range, { since, until }: Time, atMost: number): Promise<number> {
    const sql = `SELECT COUNT(*) FROM (SELECT 1 ${of(range)} AND at >= ? AND at < ? LIMIT ?) AS e`
    return (await this.#from.rows<[number]>(sql, ...valuesOf(range), since ?? FIRST, until ?? BEYOND, atMost))[0]![0]
  }

  async nth(range: Range, { since, until }: Time, order: Order, n: number): Promise<LogEventPlace | null> {
    const sql = `SELECT at, sequence ${of(range)} AND at >= ? AND at < ? ${inOrder(order)} LIMIT 1 OFFSET ?`
    const values: Value[] = [...valuesOf(range), since ?? FIRST, until ?? BEYOND, n - 1]
    const [row] = await this.#from.rows<[at: Instant, sequence: number]>(sql, ...values)
    return row === undefined ? null : { at: row[0], sequence: row[1] }
  }

  /** Reads on from a place: first what has the same time, then what lies beyond. So each of both is one range of the index. */
  async outlines(
    range: Range,
    { since = FIRST, until = BEYOND }: Time,
    order: Order,
    after: LogEventPlace | null,
    limit: number,
  ): Promise<readonly LogEventOutline[]> {
    const read = (condition: string, ...values: number[]): Promise<OutlineRow[]> =>
      this.#from.rows(
        `SELECT ${OUTLINE} ${of(range)} AND ${condition} ${inOrder(order)} LIMIT ?`,
        ...valuesOf(range),
        ...values,
        limit,
      )
    const isRising = order === 'asc'
    const from = isRising && after !== null ? after.at + 1 : since
    const to = !isRising && after !== null ? after.at : until
    const [same, beyond] = await Promise.all([
      after === null ? [] : read(`at = ? AND sequence ${isRising ? '>' : '<'} ?`, after.at, after.sequence),
      read('at >= ? AND at < ?', from, to),
    ])
    return [...same, ...beyond].slice(0, limit).map(toOutline)
  }

  async load(sequences: readonly number[]): Promise<ReadonlyMap<number, LogEvent>> {
    if (sequences.length === 0) return new Map()
    const rows = await this.#from.rows<[sequence: number, ...LogEventRow]>(SELECT, sequences)
    return new Map(rows.map(([sequence, ...row]) => [sequence, toLogEvent(row)]))
  }

  async sum(spans: readonly CountedSpan[], type: string | undefined): Promise<number> {
    const sums = await Promise.all(
      spans.map(({ span, first, beyond }) =>
        this.#from.rows<[number]>(`SELECT COALESCE(SUM(events), 0) ${ofSpan(type)}`, span, first, beyond, ...typeValue(type)),
      ),
    )
    return sums.reduce((total, [row]) => total + row![0], 0)
  }

  async reach({ span, first, beyond }: CountedSpan, type: string | undefined, order: Order, n: number) {
    const sql = `SELECT start, running - events FROM (
        SELECT start, SUM(events) AS events, SUM(SUM(events)) OVER (ORDER BY start ${order}) AS running ${ofSpan(type)} GROUP BY start
      ) AS counted WHERE running >= ? ORDER BY start ${order} LIMIT 1`
    const [row] = await this.#from.rows<[start: number, passed: number]>(sql, span, first, beyond, ...typeValue(type), n)
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

const OUTLINE = `at, sequence, size, type, ${LOG_EVENT_FIELDS.join(', ')}`

/** The table, by the index of the range, whatever the statistics of others say. */
const of = (range: Range): string =>
  range === null
    ? 'FROM octoflow_log_events FORCE INDEX (octoflow_log_events_at) WHERE true'
    : `FROM octoflow_log_events FORCE INDEX (octoflow_log_events_${range.column}) WHERE ${range.column} = ?`

const valuesOf = (range: Range): Value[] => (range === null ? [] : [range.value])

const inOrder = (order: Order): string => `ORDER BY at ${order}, sequence ${order}`

const ofSpan = (type: string | undefined): string =>
  `FROM octoflow_log_event_counts WHERE span = ? AND start >= ? AND start < ? ${type === undefined ? '' : 'AND type = ?'}`

const typeValue = (type: string | undefined): string[] => (type === undefined ? [] : [type])

const SELECT = `SELECT sequence, ${LOG_EVENT_COLUMNS} FROM octoflow_log_events FORCE INDEX (PRIMARY) WHERE sequence IN (?)`
