import { hash } from 'node:crypto'
import { LOG_EVENT_FIELDS, LONGEST_TERM, type LogEventField, type LogEventFields } from '../../model/log-event.ts'

/** Of a longer text so much is kept before its digest. */
const KEPT = 180

/** A text as databases index it: itself, or the beginning of a long one and a digest of all of it. */
export function term(text: string): string {
  if (text.length <= LONGEST_TERM) return text
  const kept = text.slice(0, KEPT)
  // Half of a character at the cut would be no text.
  return `${kept.isWellFormed() ? kept : kept.slice(0, -1)}…${hash('sha256', text)}`
}

/** What an event is found by: the texts that it has under the names of fields. */
export function termsOf(event: Readonly<Record<string, unknown>>): LogEventFields {
  const fields: Partial<Record<LogEventField, string>> = {}
  for (const field of LOG_EVENT_FIELDS) {
    const value = event[field]
    if (typeof value === 'string') fields[field] = term(value)
  }
  return fields
}
