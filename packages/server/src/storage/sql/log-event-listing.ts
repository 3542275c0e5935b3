import { OctoflowError } from '../../errors/octoflow-error.ts'
import { fieldsOf, type LogEventFilter, matches } from '../../model/log-event.ts'
import {
  COUNTED_AT_MOST,
  EXAMINED_AT_MOST,
  type LogEventCount,
  type LogEventPage,
  type LogEventPlace,
  type LogEventStore,
} from '../contract/log-events.ts'
import { CHARACTERS_AT_ONCE } from '../contract/page.ts'
import type { LogEventOutline, LogEventReader, Range } from './log-event-reader.ts'
import { countRolledUp, skipInRange } from './log-event-roll-ups.ts'
import { fitting } from './paging.ts'

type Listing = Parameters<LogEventStore['list']>[0]

/** A page of which the events are yet to be loaded. */
interface Outlined {
  readonly outlines: readonly LogEventOutline[]
  readonly next: LogEventPlace | null
}

export async function listLogEvents(reader: LogEventReader, listing: Listing): Promise<LogEventPage> {
  const { outlines, next } = await outlineLogEvents(reader, listing)
  const loaded = await reader.load(outlines.map(({ sequence }) => sequence))
  return { events: outlines.flatMap(({ sequence }) => loaded.get(sequence) ?? []), next }
}

export async function outlineLogEvents(reader: LogEventReader, listing: Listing): Promise<Outlined> {
  const ranges = rangesOf(listing.filter)
  if (ranges.length > 1) return outlineMatches(reader, await narrowest(reader, ranges, listing.filter), listing)
  return outlineRange(reader, ranges[0] ?? null, listing)
}

export async function countLogEvents(reader: LogEventReader, filter: LogEventFilter): Promise<LogEventCount> {
  if (fieldsOf(filter.fields ?? {}).length === 0) return countRolledUp(reader, filter)
  const ranges = rangesOf(filter)
  if (ranges.length === 1) {
    const count = await reader.count(ranges[0]!, filter, COUNTED_AT_MOST + 1)
    return { count: Math.min(count, COUNTED_AT_MOST), exact: count <= COUNTED_AT_MOST }
  }
  const range = await narrowest(reader, ranges, filter)
  const examined = await reader.outlines(range, filter, 'desc', null, EXAMINED_AT_MOST + 1)
  const matching = examined.slice(0, EXAMINED_AT_MOST).filter((outline) => matches(filter, outline))
  return { count: matching.length, exact: examined.length <= EXAMINED_AT_MOST }
}

/** A range for each condition of a filter that an index serves. */
function rangesOf({ type, fields = {} }: LogEventFilter): readonly Range[] {
  const ofFields = fieldsOf(fields).map(([column, value]) => ({ column, value }))
  return type === undefined ? ofFields : [...ofFields, { column: 'type', value: type }]
}

/** The index that leads to the fewest events; which of those that lead to many makes no difference. */
async function narrowest(reader: LogEventReader, ranges: readonly Range[], filter: LogEventFilter): Promise<Range> {
  const sizes = await Promise.all(ranges.map((range) => reader.count(range, filter, EXAMINED_AT_MOST)))
  return ranges[sizes.indexOf(Math.min(...sizes))]!
}

async function outlineRange(reader: LogEventReader, range: Range, { filter, order, after, limit }: Listing): Promise<Outlined> {
  const place = typeof after === 'number' ? await skipInRange(reader, range, filter, order, after) : after
  if (place === 'end') return { outlines: [], next: null }
  const found = await reader.outlines(range, filter, order, place, limit + 1)
  const fit = fitting(
    found.map(({ size }) => size),
    limit,
  )
  const outlines = found.slice(0, Math.min(fit, limit))
  return { outlines, next: found.length > outlines.length ? placeOf(outlines.at(-1)!) : null }
}

/** Holds what a range leads to against the whole filter. */
async function outlineMatches(
  reader: LogEventReader,
  range: Range,
  { filter, order, after, limit }: Listing,
): Promise<Outlined> {
  const place = typeof after === 'number' ? null : after
  let toSkip = typeof after === 'number' ? after : 0
  let size = 0
  const outlines: LogEventOutline[] = []
  const found = await reader.outlines(range, filter, order, place, EXAMINED_AT_MOST + 1)
  for (const [examined, outline] of found.entries()) {
    if (examined === EXAMINED_AT_MOST && toSkip > 0) throw new OctoflowError('skip_too_far')
    if (outlines.length === limit || size >= CHARACTERS_AT_ONCE || examined === EXAMINED_AT_MOST)
      return { outlines, next: placeOf(found[examined - 1]!) }
    if (!matches(filter, outline)) continue
    if (toSkip-- > 0) continue
    outlines.push(outline)
    size += outline.size
  }
  return { outlines, next: null }
}

const placeOf = ({ at, sequence }: LogEventPlace): LogEventPlace => ({ at, sequence })
