import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { fieldsOf, type LogEvent, type LogEventFilter, matches } from '../../../model/log-event.ts'
import {
  COUNTED_AT_MOST,
  EXAMINED_AT_MOST,
  type LogEventCount,
  type LogEventPage,
  type LogEventPlace,
  type LogEventStore,
} from '../../contract/log-events.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import type { Database } from './database.ts'
import { ALL, countRange, type Order, type Range, timeOf } from './log-event-ranges.ts'
import { countRolledUp, skipInRange } from './log-event-roll-ups.ts'
import { type LogEventRow, SELECT_LOG_EVENT, toLogEvent } from './log-event-rows.ts'

/** A range for each condition of a filter that an index serves. */
function rangesOf({ type, fields = {} }: LogEventFilter): readonly Range[] {
  const ofFields = fieldsOf(fields).map(([field, value]) => ({ condition: `${field} = ?`, values: [value] }))
  return type === undefined ? ofFields : [...ofFields, { condition: 'type = ?', values: [type] }]
}

/** The index that leads to the fewest events; which of those that lead to many makes no difference. */
function narrowest(db: Database, filter: LogEventFilter): Range {
  const [first = ALL, ...others] = rangesOf(filter)
  if (others.length === 0) return first
  const sized = [first, ...others].map((range) => ({ range, size: countRange(db, range, filter, EXAMINED_AT_MOST) }))
  return sized.reduce((least, other) => (other.size < least.size ? other : least)).range
}

export function listLogEvents(
  db: Database,
  { filter, order, after, limit }: Parameters<LogEventStore['list']>[0],
): LogEventPage {
  const isWhole = rangesOf(filter).length <= 1
  const range = narrowest(db, filter)
  const place = typeof after === 'number' ? (isWhole ? skipInRange(db, range, filter, order, after) : null) : after
  if (place === 'end') return { events: [], next: null }
  let toSkip = typeof after === 'number' && !isWhole ? after : 0
  const events: LogEvent[] = []
  let last: LogEventPlace | null = null
  let size = 0
  let examined = 0
  for (const row of rowsAfter(db, range, filter, order, place, isWhole ? limit + 1 : EXAMINED_AT_MOST + 1)) {
    if (examined === EXAMINED_AT_MOST && toSkip > 0) throw new OctoflowError('skip_too_far')
    if (events.length === limit || size >= CHARACTERS_AT_ONCE || examined === EXAMINED_AT_MOST) return { events, next: last }
    last = { at: row.at, sequence: row.sequence }
    examined++
    const event = toLogEvent(row)
    if (!isWhole && !matches(filter, event)) continue
    if (toSkip-- > 0) continue
    events.push(event)
    size += event.document.length
  }
  return { events, next: null }
}

export function countLogEvents(db: Database, filter: LogEventFilter): LogEventCount {
  if (filter.fields === undefined || fieldsOf(filter.fields).length === 0) return countRolledUp(db, filter)
  const range = narrowest(db, filter)
  if (rangesOf(filter).length === 1) {
    const count = countRange(db, range, filter, COUNTED_AT_MOST + 1)
    return { count: Math.min(count, COUNTED_AT_MOST), exact: count <= COUNTED_AT_MOST }
  }
  let count = 0
  let examined = 0
  for (const row of rowsAfter(db, range, filter, 'desc', null, EXAMINED_AT_MOST + 1))
    if (examined++ < EXAMINED_AT_MOST && matches(filter, toLogEvent(row))) count++
  return { count, exact: examined <= EXAMINED_AT_MOST }
}

/** Reads on from a place: first what has the same time, then what lies beyond. So each of both is one range of the index. */
function* rowsAfter(
  db: Database,
  { condition, values }: Range,
  { since, until }: LogEventFilter,
  order: Order,
  after: LogEventPlace | null,
  limit: number,
): Iterable<LogEventRow> {
  let left = limit
  if (after !== null) {
    const beyond = order === 'asc' ? '>' : '<'
    const sql = `${SELECT_LOG_EVENT} WHERE ${condition} AND at = ? AND sequence ${beyond} ? ORDER BY sequence ${order} LIMIT ?`
    for (const row of db.iterate<LogEventRow>(sql, ...values, after.at, after.sequence, left)) {
      left--
      yield row
    }
  }
  const from = order === 'asc' && after !== null ? after.at + 1 : since
  const to = order === 'desc' && after !== null ? after.at : until
  const time = timeOf({ since: from, until: to })
  const sql = `${SELECT_LOG_EVENT} WHERE ${condition} AND ${time.condition} ORDER BY at ${order}, sequence ${order} LIMIT ?`
  yield* db.iterate<LogEventRow>(sql, ...values, ...time.values, left)
}
