import { DAY, MINUTE } from '../../lib/time.ts'
import type { LogEventFilter } from '../../model/log-event.ts'

/** The spans of `octoflow_log_event_counts`, in minutes; of `ALL_TIME` there is one row for each type, with the start 0. */
export const SPAN_MINUTE = 1
export const SPAN_DAY = DAY / MINUTE
export const ALL_TIME = 0

/** Rows of `octoflow_log_event_counts`: those of a span with a start from `first` on and before `beyond`. */
export interface CountedSpan {
  readonly span: typeof SPAN_MINUTE | typeof SPAN_DAY | typeof ALL_TIME
  readonly first: number
  readonly beyond: number
}

/** A part of a time. */
export interface TimePart extends Pick<LogEventFilter, 'since' | 'until'> {
  /** What counts its events; `null` for an end shorter than a minute, whose events have to be counted one by one. */
  readonly counted: CountedSpan | null
}

/** Before and after every instant, in whole days. */
const FIRST = -(2 ** 20) * SPAN_DAY
const LAST = -FIRST

/** A time in parts, in their order: days, minutes where it does not begin or end with a day, and what is left at its ends. */
export function partsOf({ since, until }: Pick<LogEventFilter, 'since' | 'until'>): readonly TimePart[] {
  if (since !== undefined && until !== undefined && since >= until) return []
  const first = since === undefined ? FIRST : Math.ceil(since / MINUTE)
  const beyond = until === undefined ? LAST : Math.floor(until / MINUTE)
  if (first > beyond) return [{ since, until, counted: null }]
  const parts: TimePart[] = []
  if (since !== undefined && since < first * MINUTE) parts.push({ since, until: first * MINUTE, counted: null })
  for (const counted of wholeMinutes(first, beyond)) parts.push({ counted })
  if (until !== undefined && until > beyond * MINUTE) parts.push({ since: beyond * MINUTE, until, counted: null })
  return parts
}

/** The rows that count the minutes of a day. */
export const minutesOf = (day: number): CountedSpan => ({ span: SPAN_MINUTE, first: day, beyond: day + SPAN_DAY })

function wholeMinutes(first: number, beyond: number): readonly CountedSpan[] {
  const firstDay = Math.ceil(first / SPAN_DAY) * SPAN_DAY
  const lastDay = Math.floor(beyond / SPAN_DAY) * SPAN_DAY
  if (firstDay >= lastDay) return [{ span: SPAN_MINUTE, first, beyond }]
  const spans: readonly CountedSpan[] = [
    { span: SPAN_MINUTE, first, beyond: firstDay },
    { span: SPAN_DAY, first: firstDay, beyond: lastDay },
    { span: SPAN_MINUTE, first: lastDay, beyond },
  ]
  return spans.filter((span) => span.first < span.beyond)
}
