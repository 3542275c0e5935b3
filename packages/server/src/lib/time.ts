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

const SHAPE = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?$/
const DATE_LENGTH = 'yyyy-mm-dd'.length
const MINUTES_LENGTH = 'yyyy-mm-ddThh:mm'.length
const SECONDS_LENGTH = 'yyyy-mm-ddThh:mm:ss'.length

/**
 * Reads an ISO 8601 date or date-time; one without an offset is taken as UTC. Digits beyond microseconds are cut. What lies
 * before `MIN_INSTANT` or after `MAX_INSTANT` counts as that: year 9999 is how many say never.
 * @returns `null` for anything that is not a day of the calendar, or a time of day from 00:00:00 to 23:59:59.
 */
export function fromIso(text: string): Instant | null {
  if (!SHAPE.test(text)) return null
  const midnight = readDate(text)
  if (text.length === DATE_LENGTH) return clamp(midnight)
  const timeEnd = text[MINUTES_LENGTH] === ':' ? SECONDS_LENGTH : MINUTES_LENGTH
  const fractionEnd = text[timeEnd] === '.' ? digitsEnd(text, timeEnd + 1) : timeEnd
  return clamp(
    midnight + readTime(text, timeEnd) + readFraction(text, timeEnd + 1, fractionEnd) - readOffset(text, fractionEnd),
  )
}

/** The calendar comes again every four hundred years, of so many milliseconds. */
const CYCLE_YEARS = 400
const CYCLE_MS = 146_097 * 86_400_000

/** @returns `NaN` where the calendar has no such day. */
function readDate(text: string): Instant {
  const year = readNumber(text, 0, 4)
  const month = readNumber(text, 5, 7)
  const day = readNumber(text, 8, DATE_LENGTH)
  if (month < 1 || month > 12 || day < 1 || day > daysIn(month, year)) return Number.NaN
  // A cycle later, for `Date.UTC` takes the years 0 to 99 for 1900 to 1999.
  return (Date.UTC(year + CYCLE_YEARS, month - 1, day) - CYCLE_MS) * MILLISECOND
}

function daysIn(month: number, year: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

/** @param end where the minutes end, or the seconds, if there are any. */
function readTime(text: string, end: number): Duration {
  const hour = readNumber(text, 11, 13)
  const minute = readNumber(text, 14, MINUTES_LENGTH)
  const second = end === SECONDS_LENGTH ? readNumber(text, 17, end) : 0
  if (hour > 23 || minute > 59 || second > 59) return Number.NaN
  return hour * HOUR + minute * MINUTE + second * SECOND
}

const MICROSECOND_DIGITS = 6

function readFraction(text: string, start: number, end: number): Duration {
  const kept = Math.min(end, start + MICROSECOND_DIGITS)
  return kept <= start ? 0 : readNumber(text, start, kept) * 10 ** (MICROSECOND_DIGITS - (kept - start))
}

/** @param start where it stands, if there is one. */
function readOffset(text: string, start: number): Duration {
  const sign = text[start]
  if (sign !== '+' && sign !== '-') return 0
  const hour = readNumber(text, start + 1, start + 3)
  const minute = readNumber(text, text.length - 2, text.length)
  if (hour > 23 || minute > 59) return Number.NaN
  return (sign === '-' ? -1 : 1) * (hour * HOUR + minute * MINUTE)
}

const ZERO = 0x30

/** Digits as a number; without cutting them out of the text, which takes several times as long. */
function readNumber(text: string, start: number, end: number): number {
  let number = 0
  for (let at = start; at < end; at++) number = number * 10 + text.charCodeAt(at) - ZERO
  return number
}

function digitsEnd(text: string, start: number): number {
  let at = start
  while (text.charCodeAt(at) >= ZERO && text.charCodeAt(at) <= ZERO + 9) at++
  return at
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
