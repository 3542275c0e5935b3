import type { LogEvent, LogEventField, LogEventFilter } from '../../model/log-event.ts'
import type { LogEventPlace } from '../contract/log-events.ts'
import type { CountedSpan } from './log-event-spans.ts'

export type Order = 'asc' | 'desc'

export type Time = Pick<LogEventFilter, 'since' | 'until'>

/** Log events that one index has in order of time: those of a type, or those with a value in a field; `null` for all. */
export type Range = { readonly column: 'type' | LogEventField; readonly value: string } | null

/** A log event as far as its place in a page needs it. */
export interface LogEventOutline extends LogEventPlace, Omit<LogEvent, 'id' | 'document'> {
  /** Of its document, in bytes. */
  readonly size: number
}

/** What the databases that are asked and answer later are asked of log events. Each is one range of an index. */
export interface LogEventReader {
  /** How many a range has in a time, counted up to `atMost`. */
  count(range: Range, time: Time, atMost: number): Promise<number>

  /** The place of the `n`th of a range in a time. */
  nth(range: Range, time: Time, order: Order, n: number): Promise<LogEventPlace | null>

  /** The next ones of a range in a time; `after` lies in this time, too, unless it is `null`, which stands for the beginning. */
  outlines(
    range: Range,
    time: Time,
    order: Order,
    after: LogEventPlace | null,
    limit: number,
  ): Promise<readonly LogEventOutline[]>

  /** Those that are still there, by sequence. */
  load(sequences: readonly number[]): Promise<ReadonlyMap<number, LogEvent>>

  /** The sum of roll-ups. */
  sum(spans: readonly CountedSpan[], type: string | undefined): Promise<number>

  /** The roll-up with which a sum over a span, in order of time, comes to `n`, and to how much those before it come. */
  reach(
    span: CountedSpan,
    type: string | undefined,
    order: Order,
    n: number,
  ): Promise<{ readonly start: number; readonly passed: number } | null>
}
