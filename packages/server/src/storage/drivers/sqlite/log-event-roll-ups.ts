import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { MINUTE } from '../../../lib/time.ts'
import type { LogEventFilter } from '../../../model/log-event.ts'
import { COUNTED_AT_MOST, type LogEventCount, type LogEventPlace, STEPPED_OVER_AT_MOST } from '../../contract/log-events.ts'
import { ALL_TIME, type CountedSpan, minutesOf, partsOf, SPAN_MINUTE, type TimePart } from '../../sql/log-event-spans.ts'
import type { Database, Value } from './database.ts'
import { ALL, countRange, nth, type Order, type Range } from './log-event-ranges.ts'

/** How many of a filter that names no fields: in roll-ups, but for the ends of its time. */
export function countRolledUp(db: Database, { type, since, until }: LogEventFilter): LogEventCount {
  if (since === undefined && until === undefined) return { count: countAllTime(db, type), exact: true }
  const range = rangeOfType(type)
  let count = 0
  let exact = true
  for (const part of partsOf({ since, until })) {
    if (part.counted !== null) {
      count += db.row<[number]>(`SELECT ifnull(sum(events), 0) ${rowsOf(type)}`, ...bound(part.counted, type))![0]
      continue
    }
    const loose = countRange(db, range, part, COUNTED_AT_MOST + 1)
    count += Math.min(loose, COUNTED_AT_MOST)
    exact &&= loose <= COUNTED_AT_MOST
  }
  return { count, exact }
}

export function countTypes(db: Database): { readonly type: string; readonly count: number }[] {
  const sql = 'SELECT type, events AS count FROM octoflow_log_event_counts WHERE span = 0 ORDER BY type'
  return db.all<{ readonly type: string; readonly count: number }>(sql).map((row) => ({ ...row }))
}

/**
 * The place after which `skip` events of a range in a time are stepped over; `null` for its beginning.
 * @throws `skip_too_far`
 */
export function skipInRange(
  db: Database,
  range: Range,
  filter: LogEventFilter,
  order: Order,
  skip: number,
): LogEventPlace | 'end' | null {
  if (skip === 0) return null
  const near = filter.fields === undefined ? nearby(db, filter, order, skip) : { time: filter, left: skip }
  if (near === null) return 'end'
  if (near.left > STEPPED_OVER_AT_MOST) throw new OctoflowError('skip_too_far')
  return nth(db, range, near.time, order, near.left) ?? 'end'
}

/** A part of the time, and how many of its events, one at least, are left to be stepped over. */
interface Nearby {
  readonly time: Pick<LogEventFilter, 'since' | 'until'>
  readonly left: number
}

/** Leads by roll-ups into the minute in which the last of the events to be stepped over lies; `null` where there are not so many. */
function nearby(db: Database, { type, since, until }: LogEventFilter, order: Order, skip: number): Nearby | null {
  const parts = partsOf({ since, until })
  let left = skip
  for (const part of order === 'asc' ? parts : parts.toReversed()) {
    const found = part.counted === null ? looseNearby(db, part, type, left) : countedNearby(db, part.counted, type, order, left)
    if (typeof found !== 'number') return found
    left -= found
  }
  return null
}

/** @returns where it lies in this part, or else how many the part has. */
function looseNearby(db: Database, time: TimePart, type: string | undefined, skip: number): Nearby | number {
  const count = countRange(db, rangeOfType(type), time, Math.min(skip, STEPPED_OVER_AT_MOST + 1))
  if (count > STEPPED_OVER_AT_MOST) throw new OctoflowError('skip_too_far')
  return count >= skip ? { time, left: skip } : count
}

function countedNearby(db: Database, rows: CountedSpan, type: string | undefined, order: Order, skip: number): Nearby | number {
  const sql = `SELECT start, sum(events) ${rowsOf(type)} GROUP BY start ORDER BY start ${order}`
  let passed = 0
  for (const [start, events] of db.rows<[number, number]>(sql, ...bound(rows, type))) {
    if (passed + events < skip) {
      passed += events
      continue
    }
    if (rows.span !== SPAN_MINUTE) return countedNearby(db, minutesOf(start), type, order, skip - passed)
    return { time: { since: start * MINUTE, until: (start + 1) * MINUTE }, left: skip - passed }
  }
  return passed
}

const rangeOfType = (type: string | undefined): Range => (type === undefined ? ALL : { condition: 'type = ?', values: [type] })

function countAllTime(db: Database, type: string | undefined): number {
  const all: CountedSpan = { span: ALL_TIME, first: 0, beyond: 1 }
  return db.row<[number]>(`SELECT ifnull(sum(events), 0) ${rowsOf(type)}`, ...bound(all, type))![0]
}

const rowsOf = (type: string | undefined): string =>
  `FROM octoflow_log_event_counts WHERE span = ? AND start >= ? AND start < ? ${type === undefined ? '' : 'AND type = ?'}`

const bound = ({ span, first, beyond }: CountedSpan, type: string | undefined): Value[] =>
  type === undefined ? [span, first, beyond] : [span, first, beyond, type]
