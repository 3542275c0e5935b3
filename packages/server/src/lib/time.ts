/**
 * Time as the engine counts it.
 *
 * Instants and durations are whole microseconds. One unit for both rules out the mistake of adding seconds to
 * milliseconds, and microseconds since the epoch stay exact in a double until the year 2255.
 */

/** Microseconds since 1970-01-01T00:00:00Z. */
export type Instant = number

/** A length of time in microseconds. */
export type Duration = number

export const MILLISECOND: Duration = 1_000
export const SECOND: Duration = 1_000_000
export const MINUTE: Duration = 60 * SECOND
export const HOUR: Duration = 60 * MINUTE
export const DAY: Duration = 24 * HOUR

/** The latest instant that ISO 8601 writes with a four-digit year. */
export const MAX_INSTANT: Instant = Date.UTC(9999, 11, 31, 23, 59, 59, 999) * MILLISECOND

export const seconds = (count: number): Duration => Math.round(count * SECOND)

export const toMilliseconds = (duration: Duration): number => duration / MILLISECOND

/** ISO 8601 in UTC, with six digits of fraction only where the last three say something. */
export function toIso(at: Instant): string {
  const milliseconds = Math.floor(at / MILLISECOND)
  const rest = at - milliseconds * MILLISECOND
  const iso = new Date(milliseconds).toISOString()
  return rest === 0 ? iso : `${iso.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}

export const toIsoOrNull = (at: Instant | null): string | null => (at === null ? null : toIso(at))

const ISO = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.(\d{1,9}))?)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?$/

/**
 * Reads an ISO 8601 date or date-time; one without an offset is taken as UTC. Digits beyond microseconds are cut.
 * @returns `null` for anything that is not a date of the years 0000 to 9999.
 */
export function fromIso(text: string): Instant | null {
  const match = ISO.exec(text)
  if (match === null) return null
  const fraction = match[1] ?? ''
  const zoned = text.length > 10 && !/(?:[Zz]|[+-]\d{2}:?\d{2})$/.test(text) ? `${text}Z` : text
  const milliseconds = Date.parse(zoned.replace(' ', 'T').replace(/\.\d+/, `.${fraction.padEnd(3, '0').slice(0, 3)}`))
  if (Number.isNaN(milliseconds)) return null
  return milliseconds * MILLISECOND + Number(fraction.padEnd(6, '0').slice(3, 6))
}

/** A duration for people: `850 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function humanDuration(duration: Duration): string {
  if (duration < SECOND) return `${Math.round(toMilliseconds(duration))} ms`
  if (duration < MINUTE) return `${Number((duration / SECOND).toFixed(1))} s`
  const [large, largeName, small, smallName] =
    duration < HOUR
      ? ([MINUTE, 'min', SECOND, 's'] as const)
      : duration < DAY
        ? ([HOUR, 'h', MINUTE, 'min'] as const)
        : ([DAY, 'd', HOUR, 'h'] as const)
  const whole = Math.floor(duration / large)
  const rest = Math.floor((duration - whole * large) / small)
  return rest === 0 ? `${whole} ${largeName}` : `${whole} ${largeName} ${rest} ${smallName}`
}
