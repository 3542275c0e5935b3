import type { Instant } from '../../lib/time.ts'
import type { LogEvent, LogEventFilter } from '../../model/log-event.ts'

/** A filter on fields is counted up to so many events. */
export const COUNTED_AT_MOST = 10_000

/** So many events that fit a filter only in part are looked at for a page: those that one index leads to. */
export const EXAMINED_AT_MOST = 2_000

/**
 * From the nearest roll-up, or the beginning where a filter names fields, so many events are stepped over to begin a page: up to 45 ms
 * on MariaDB, the slowest at that, where a page may cost 50.
 */
export const STEPPED_OVER_AT_MOST = 50_000

/**
 * Events of other systems. They have two orders: that of time, ties broken by their arrival, in which they are listed, and that of
 * their arrival, in which they are followed.
 */
export interface LogEventStore {
  /**
   * Stores events, in this order. One whose id is taken, be it by another of the same call, changes nothing; the first wins. That an
   * id is taken is found out by the statement that inserts.
   * @returns for each whether it was stored.
   */
  append(params: { readonly events: readonly LogEvent[] }): Promise<readonly boolean[]>

  /** Those that exist, in any order. */
  find(params: { readonly ids: readonly string[] }): Promise<readonly LogEvent[]>

  /**
   * A page in order of time. It costs the same at any depth and however many events there are. It may hold fewer events than asked
   * for while there are more: of two conditions on fields one leads through an index, and at most `EXAMINED_AT_MOST` of what it leads
   * to are held against the other; and a page ends at `CHARACTERS_AT_ONCE`.
   * @param params.after the `next` of the page before; for a first page the number of events to step over. Where the filter names no
   * fields, roll-ups lead near the place.
   * @throws `skip_too_far` where more than `STEPPED_OVER_AT_MOST` would have to be stepped over one by one, or with several
   * conditions more than `EXAMINED_AT_MOST`.
   */
  list(params: {
    readonly filter: LogEventFilter
    readonly order: 'asc' | 'desc'
    readonly after: LogEventPlace | number
    readonly limit: number
  }): Promise<LogEventPage>

  /**
   * How many match: from roll-ups where the filter names no fields, else counted up to `COUNTED_AT_MOST`, or as far as a page looks.
   * What a span of time has at its ends beside whole minutes is counted the same way.
   */
  count(params: { readonly filter: LogEventFilter }): Promise<LogEventCount>

  /** How many there are of each type that has any, in order of name. */
  types(): Promise<readonly { readonly type: string; readonly count: number }[]>

  /**
   * What arrived after a mark, in order of arrival; only what is surely complete: nothing that arrives later ever takes a place before
   * what was given, whatever other servers have under way.
   * @param params.after where to go on; `null` for the beginning.
   * @returns `null` for a mark that this database did not give.
   */
  follow(params: { readonly after: string | null; readonly limit: number }): Promise<LogEventsFollowed | null>

  /** The mark after which only what is yet to arrive is followed; 1 to 64 characters of `A-Za-z0-9._-`. */
  end(): Promise<string>

  /** Up to where a follower has got; `null` if it never advanced. */
  mark(params: { readonly follower: string }): Promise<string | null>

  /** Has a follower get on. @returns whether it stood at `from`; if not, nothing is changed. */
  advance(params: { readonly follower: string; readonly from: string | null; readonly to: string }): Promise<boolean>

  /** Deletes at most `limit` events of a type from before an instant, the oldest first. @returns how many. */
  prune(params: {
    readonly now: Instant
    readonly type: string
    readonly before: Instant
    readonly limit: number
  }): Promise<number>
}

/** A place in the order of time. */
export interface LogEventPlace {
  readonly at: Instant
  /** Rises with the arrival, as far as that can be told. */
  readonly sequence: number
}

export interface LogEventPage {
  readonly events: readonly LogEvent[]
  /** Where the next page begins; `null` at the end. */
  readonly next: LogEventPlace | null
}

export interface LogEventCount {
  readonly count: number
  /** Whether there are exactly so many; else there may be more. */
  readonly exact: boolean
}

export interface LogEventsFollowed {
  /** Each with the mark after which to go on when it is the last that was seen. */
  readonly events: readonly (LogEvent & { readonly mark: string })[]
  /** The mark of the last event; if there is none, as far as it is certain that there is none. */
  readonly mark: string
}
