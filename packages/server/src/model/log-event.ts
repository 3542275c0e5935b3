import type { Instant } from '../lib/time.ts'

/** What a log event may be found by, beside its type and time: texts that its `event` has under these names. */
export const LOG_EVENT_FIELDS = ['username', 'email', 'system_id', 'location', 'operation'] as const
export type LogEventField = (typeof LOG_EVENT_FIELDS)[number]
export type LogEventFields = Readonly<Partial<Record<LogEventField, string>>>

/** Ids, types and fields are no longer than this; `core/log-events/terms.ts` makes longer ones short enough to be indexed. */
export const LONGEST_TERM = 256

/** An event that another system logged. */
export interface LogEvent {
  /** Of all events that are stored, none has the same. */
  readonly id: string
  readonly type: string
  /** When it happened; years that `Instant` cannot tell count as the nearest that it can. */
  readonly at: Instant
  readonly fields: LogEventFields
  /** The event as it is given back: JSON text on one line. */
  readonly document: string
}

/** Which log events are meant; what is left out matches all. */
export interface LogEventFilter {
  readonly type?: string | undefined
  readonly since?: Instant | undefined
  /** Exclusive. */
  readonly until?: Instant | undefined
  readonly fields?: LogEventFields | undefined
}

export function matches({ type, since, until, fields }: LogEventFilter, event: Omit<LogEvent, 'id' | 'document'>): boolean {
  if (type !== undefined && event.type !== type) return false
  if (since !== undefined && event.at < since) return false
  if (until !== undefined && event.at >= until) return false
  return fields === undefined || fieldsOf(fields).every(([field, value]) => event.fields[field] === value)
}

/** The fields that are given. */
export const fieldsOf = (fields: LogEventFields): readonly (readonly [LogEventField, string])[] =>
  LOG_EVENT_FIELDS.flatMap((field) => {
    const value = fields[field]
    return value === undefined ? [] : [[field, value] as const]
  })
