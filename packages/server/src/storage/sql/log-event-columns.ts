import type { Instant } from '../../lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEvent, type LogEventField, type LogEventFields } from '../../model/log-event.ts'

/** The columns that an event is made of. */
export const LOG_EVENT_COLUMNS = `id, type, at, ${LOG_EVENT_FIELDS.join(', ')}, document`

/** A row of these. */
export type LogEventRow = readonly [
  id: string,
  type: string,
  at: Instant,
  username: string | null,
  email: string | null,
  systemId: string | null,
  location: string | null,
  operation: string | null,
  document: string,
]

export const toLogEvent = ([
  id,
  type,
  at,
  username,
  email,
  systemId,
  location,
  operation,
  document,
]: LogEventRow): LogEvent => ({
  id,
  type,
  at,
  fields: toFields([username, email, systemId, location, operation]),
  document,
})

/** @param values in the order of `LOG_EVENT_FIELDS`. */
export function toFields(values: readonly (string | null)[]): LogEventFields {
  const fields: Partial<Record<LogEventField, string>> = {}
  for (const [index, field] of LOG_EVENT_FIELDS.entries()) {
    const value = values[index] ?? null
    if (value !== null) fields[field] = value
  }
  return fields
}
