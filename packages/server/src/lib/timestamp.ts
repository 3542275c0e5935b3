import { fromIso, type Instant } from './time.ts'

/** A time as somebody wrote it. */
export interface Timestamp {
  readonly at: Instant
  /** ISO 8601 in UTC, with the digits of fraction that it came with. */
  readonly text: string
}

/** How most are written, and how they are given back. */
const AS_GIVEN_BACK = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/

const SHAPE = /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2})(:\d{2})?(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})?)?$/

/** `yyyy-mm-ddThh:mm:ss` */
const SECONDS_LENGTH = 19

/** Reads ISO 8601; a time without an offset is taken as UTC. @returns `null` for what is none, or lies before the year 0 of UTC. */
export function readTimestamp(text: string): Timestamp | null {
  const at = fromIso(text)
  if (at === null) return null
  if (AS_GIVEN_BACK.test(text)) return { at, text }
  const shape = SHAPE.exec(text)
  if (shape === null) return null
  const [, date, time = '00:00', seconds = ':00', fraction = '', offset = 'Z'] = shape
  const written = `${date}T${time}${seconds}`
  if (offset === 'Z' || offset === 'z') return { at, text: `${written}${fraction}Z` }
  // Without the fraction, which Date would cut, and not from `at`, which cannot tell all years.
  const utc = new Date(`${written}${offset.includes(':') ? offset : `${offset.slice(0, 3)}:${offset.slice(3)}`}`).toISOString()
  return /^\d{4}-/.test(utc) ? { at, text: `${utc.slice(0, SECONDS_LENGTH)}${fraction}Z` } : null
}
