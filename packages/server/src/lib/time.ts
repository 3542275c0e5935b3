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

/** The latest instant that a double tells to the microsecond: 2255-06-05T23:47:34.740991Z. */
export const MAX_INSTANT: Instant = Number.MAX_SAFE_INTEGER

/** The earliest such instant: 1684-07-28T00:12:25.259009Z. */
export const MIN_INSTANT: Instant = Number.MIN_SAFE_INTEGER

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

const DATE = /^(\d{4})-(\d{2})-(\d{2})/
const TIME = /^[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?/
const OFFSET = /^(?:[Zz]|([+-])(\d{2}):?(\d{2}))?$/

/**
 * Reads an ISO 8601 date or date-time; one without an offset is taken as UTC. Digits beyond microseconds are cut. What lies
 * before `MIN_INSTANT` or after `MAX_INSTANT` counts as that: year 9999 is how many say never.
 * @returns `null` for anything that is not a day of the calendar, or a time of day from 00:00:00 to 23:59:59.
 */
export function fromIso(text: string): Instant | null {
  const date = DATE.exec(text)
  if (date === null) return null
  const midnight = readDate(date)
  if (text.length === date[0].length) return clamp(midnight)
  const rest = text.slice(date[0].length)
  const time = TIME.exec(rest)
  const offset = OFFSET.exec(rest.slice(time?.[0].length ?? 0))
  if (time === null || offset === null) return null
  return clamp(midnight + readTime(time) - readOffset(offset))
}

/** @returns `NaN` where the calendar has no such day. */
function readDate([, year, month, day]: readonly string[]): Instant {
  // `Date.UTC` takes the years 0 to 99 for 1900 to 1999, and the 31st of February for the 2nd of March.
  const date = new Date(0)
  const milliseconds = date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day) ? milliseconds * MILLISECOND : Number.NaN
}

function readTime([, hour, minute, second = '0', fraction = '']: readonly string[]): Duration {
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return Number.NaN
  return Number(hour) * HOUR + Number(minute) * MINUTE + Number(second) * SECOND + Number(fraction.padEnd(6, '0').slice(0, 6))
}

function readOffset([, sign, hour = '0', minute = '0']: readonly string[]): Duration {
  if (Number(hour) > 23 || Number(minute) > 59) return Number.NaN
  return (sign === '-' ? -1 : 1) * (Number(hour) * HOUR + Number(minute) * MINUTE)
}

const clamp = (at: Instant): Instant | null => (Number.isNaN(at) ? null : Math.max(MIN_INSTANT, Math.min(MAX_INSTANT, at)))

/** A duration for people: `850 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function humanDuration(duration: Duration): string {
  const milliseconds = Math.round(toMilliseconds(duration))
  if (milliseconds < 1_000) return `${milliseconds} ms`
  const tenths = Math.round(duration / (SECOND / 10))
  if (tenths < 600) return `${tenths / 10} s`
  return humanMinutes(Math.round(duration / SECOND) * SECOND)
}

function humanMinutes(duration: Duration): string {
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
