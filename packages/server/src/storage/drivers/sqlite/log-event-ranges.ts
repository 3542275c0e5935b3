import type { LogEventFilter } from '../../../model/log-event.ts'
import type { LogEventPlace } from '../../contract/log-events.ts'
import type { Database, Value } from './database.ts'

export type Order = 'asc' | 'desc'

/** Log events that one index has in order of time: all, those of a type, or those with a value in a field. */
export interface Range {
  readonly condition: string
  readonly values: readonly Value[]
}

type Time = Pick<LogEventFilter, 'since' | 'until'>

export const ALL: Range = { condition: 'true', values: [] }

export const timeOf = ({ since, until }: Time): Range => ({
  condition: 'at >= ? AND at < ?',
  values: [since ?? Number.MIN_SAFE_INTEGER, until ?? BEYOND_ALL],
})

/** After the latest instant. */
const BEYOND_ALL = Number.MAX_SAFE_INTEGER + 1

/** How many a range has in a time, counted in its index up to `atMost`. */
export function countRange(db: Database, { condition, values }: Range, time: Time, atMost: number): number {
  const within = timeOf(time)
  const sql = `SELECT count(*) FROM (SELECT 1 FROM octoflow_log_events WHERE ${condition} AND ${within.condition} LIMIT ?)`
  return db.row<[number]>(sql, ...values, ...within.values, atMost)![0]
}

/** The place of the `n`th of a range in a time, stepped to in its index. */
export function nth(db: Database, range: Range, time: Time, order: Order, n: number): LogEventPlace | null {
  const { condition, values } = timeOf(time)
  const sql = `SELECT at, sequence FROM octoflow_log_events WHERE ${range.condition} AND ${condition}
    ORDER BY at ${order}, sequence ${order} LIMIT 1 OFFSET ?`
  const row = db.row<[number, number]>(sql, ...range.values, ...values, n - 1)
  return row === undefined ? null : { at: row[0], sequence: row[1] }
}
