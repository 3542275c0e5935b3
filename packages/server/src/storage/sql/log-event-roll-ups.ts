import { OctoflowError } from '../../errors/octoflow-error.ts'
import { MINUTE } from '../../lib/time.ts'
import type { LogEventFilter } from '../../model/log-event.ts'
import { COUNTED_AT_MOST, type LogEventCount, type LogEventPlace, STEPPED_OVER_AT_MOST } from '../contract/log-events.ts'
import type { LogEventReader, Order, Range, Time } from './log-event-reader.ts'
import { ALL_TIME, type CountedSpan, minutesOf, partsOf, SPAN_MINUTE, type TimePart } from './log-event-spans.ts'

/** How many of a filter that names no fields: in roll-ups, but for the ends of its time. */
export async function countRolledUp(reader: LogEventReader, { type, since, until }: LogEventFilter): Promise<LogEventCount> {
  if (since === undefined && until === undefined) return { count: await reader.sum([WHOLE], type), exact: true }
  const parts = partsOf({ since, until })
  let count = await reader.sum(
    parts.flatMap(({ counted }) => counted ?? []),
    type,
  )
  let exact = true
  for (const end of parts.filter(({ counted }) => counted === null)) {
    const loose = await reader.count(rangeOfType(type), end, COUNTED_AT_MOST + 1)
    count += Math.min(loose, COUNTED_AT_MOST)
    exact &&= loose <= COUNTED_AT_MOST
  }
  return { count, exact }
}

const WHOLE: CountedSpan = { span: ALL_TIME, first: 0, beyond: 1 }

/**
 * The place after which `skip` events of a range in a time are stepped over; `null` for its beginning.
 * @throws `skip_too_far`
 */
export async function skipInRange(
  reader: LogEventReader,
  range: Range,
  filter: LogEventFilter,
  order: Order,
  skip: number,
): Promise<LogEventPlace | 'end' | null> {
  if (skip === 0) return null
  const isOfField = range !== null && range.column !== 'type'
  const near = isOfField ? { time: filter, left: skip } : await nearby(reader, filter, order, skip)
  if (near === null) return 'end'
  if (near.left > STEPPED_OVER_AT_MOST) throw new OctoflowError('skip_too_far')
  return (await reader.nth(range, near.time, order, near.left)) ?? 'end'
}

/** A part of the time, and how many of its events, one at least, are left to be stepped over. */
interface Nearby {
  readonly time: Time
  readonly left: number
}

/** Leads by roll-ups into the minute in which the last of the events to be stepped over lies; `null` where there are not so many. */
async function nearby(
  reader: LogEventReader,
  { type, since, until }: LogEventFilter,
  order: Order,
  skip: number,
): Promise<Nearby | null> {
  const parts = partsOf({ since, until })
  let left = skip
  for (const part of order === 'asc' ? parts : parts.toReversed()) {
    const found =
      part.counted === null
        ? await looseNearby(reader, part, type, left)
        : await countedNearby(reader, part.counted, type, order, left)
    if (typeof found !== 'number') return found
    left -= found
  }
  return null
}

/** @returns where it lies in this part, or else how many the part has. */
async function looseNearby(
  reader: LogEventReader,
  time: TimePart,
  type: string | undefined,
  skip: number,
): Promise<Nearby | number> {
  const count = await reader.count(rangeOfType(type), time, Math.min(skip, STEPPED_OVER_AT_MOST + 1))
  if (count > STEPPED_OVER_AT_MOST) throw new OctoflowError('skip_too_far')
  return count >= skip ? { time, left: skip } : count
}

async function countedNearby(
  reader: LogEventReader,
  span: CountedSpan,
  type: string | undefined,
  order: Order,
  skip: number,
): Promise<Nearby | number> {
  const reached = await reader.reach(span, type, order, skip)
  if (reached === null) return reader.sum([span], type)
  const { start, passed } = reached
  if (span.span !== SPAN_MINUTE) return countedNearby(reader, minutesOf(start), type, order, skip - passed)
  return { time: { since: start * MINUTE, until: (start + 1) * MINUTE }, left: skip - passed }
}

const rangeOfType = (type: string | undefined): Range => (type === undefined ? null : { column: 'type', value: type })
