import type { Backoff, RateLimit } from '@octoflow/protocol'
import { InvalidArgumentError } from 'commander'
import { fromIso, type Instant, MILLISECOND } from '../lib/time.ts'

/** Reads what stands on the command line. All throw commander's error for what does not fit. */

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, min: 60, h: 3_600, d: 86_400 }

/** A length of time: `90`, `90s`, `5m`, `2h`, `1d`, `500ms`. @returns seconds. */
export function duration(min: number, max: number): (text: string) => number {
  return (text) => {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)?$/.exec(text) ?? []
    const seconds = Number(digits) * UNITS[unit ?? 's']!
    if (digits !== undefined && seconds >= min && seconds <= max) return seconds
    throw new InvalidArgumentError(`It must be a length of time from ${min} to ${max} seconds, such as 90, 90s, 5m, 2h or 1d.`)
  }
}

/** A date and time. @returns the text, which the server reads. */
export function instant(text: string): string {
  if (fromIso(text) !== null) return text
  throw new InvalidArgumentError('It must be an ISO 8601 date and time, such as 2026-11-21T10:15:30Z.')
}

/** A date and time, or how long ago it was: `2h`. @returns ISO 8601. */
export function pastInstant(now: () => Instant): (text: string) => string {
  return (text) => {
    if (fromIso(text) !== null) return text
    try {
      const seconds = duration(0, Number.POSITIVE_INFINITY)(text)
      return new Date(now() / MILLISECOND - seconds * 1_000).toISOString()
    } catch {
      throw new InvalidArgumentError(
        'It must be a date and time such as 2026-11-21T10:15:30Z, or how long ago, such as 30m or 2d.',
      )
    }
  }
}

export function label(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const separator = text.indexOf('=')
  if (separator < 1) throw new InvalidArgumentError('It must be a name and a value, such as customer=42.')
  return { ...before, [text.slice(0, separator)]: text.slice(separator + 1) }
}

/** For options that may be given several times, or once with commas. */
export const list = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
]

/**
 * For names, which may hold commas, by the rule of the API's queries: given once, there may be several with commas between them;
 * given several times, each is taken as it stands. A single name that holds a comma is given twice.
 */
export function names(): (text: string, before?: readonly string[]) => readonly string[] {
  let given: readonly string[] = []
  return (text, before) => {
    given = before === undefined ? [text] : [...given, text]
    return given.length === 1 ? list(text) : [...new Set(given)]
  }
}

/** Likewise of a list, of a few words. */
export function listOf(words: readonly string[]): (text: string, before?: readonly string[]) => readonly string[] {
  return (text, before) => {
    const items = list(text, before)
    if (items.length > 0 && items.every((item) => words.includes(item))) return items
    throw new InvalidArgumentError(`It must be one or several of ${words.join(', ')}.`)
  }
}

/** Takes a setting away. A word, since commander knows no option whose value is `null`. */
export const NONE = 'none'

/** For what may be taken away. */
export function orNone<Value>(parse: (text: string) => Value): (text: string) => Value | typeof NONE {
  return (text) => (text === NONE ? NONE : parse(text))
}

/** `100/60s`: so many within so much time. */
export function rateLimit(text: string): RateLimit {
  const [, limit, period] = /^(\d+)\/(.+)$/.exec(text) ?? []
  if (limit === undefined) throw new InvalidArgumentError('It must be a number and a length of time, such as 100/60s, or none.')
  return { limit: wholeNumber(1, 1_000_000_000)(limit), periodSeconds: duration(0.05, 2_592_000)(period!) }
}

/** `5s,2,1h,0.2`: the first wait, the factor of each further one, the longest, and the share that is random. */
export function backoff(text: string): Backoff {
  const [base = '', factor = '2', max = '1h', jitter = '0.2', ...more] = text.split(',').map((part) => part.trim())
  const fits = more.length === 0 && /^\d+(\.\d+)?$/.test(factor) && /^(0(\.\d+)?|1(\.0+)?)$/.test(jitter)
  if (!fits)
    throw new InvalidArgumentError(
      'It must be the first wait, the factor, the longest wait and the random share (0 to 1), such as 5s,2,1h,0.2; ' +
        'the later ones may be left out. Or none.',
    )
  return {
    baseSeconds: duration(0, 86_400)(base),
    factor: Number(factor),
    maxSeconds: duration(0, 2_592_000)(max),
    jitter: Number(jitter),
  }
}

/** A job's id, or the word `last`. */
export function jobId(text: string): string {
  if (text === 'last' || /^[1-9]\d{0,15}$/.test(text)) return text
  throw new InvalidArgumentError('It must be the number of a job, or the word last.')
}

export const jobIds = (text: string, before: readonly string[] = []): readonly string[] => [...before, jobId(text)]

export function operationId(text: string): string {
  if (/^[1-9]\d{0,15}$/.test(text)) return text
  throw new InvalidArgumentError('It must be the number of an operation.')
}

/** A number of days, fractions allowed. */
export function daysNumber(text: string): number {
  const value = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && value <= 36_500) return value
  throw new InvalidArgumentError('It must be a number of days from 0 to 36500, or none.')
}

export function jobNumber(text: string): string {
  if (/^[1-9]\d{0,15}$/.test(text)) return text
  throw new InvalidArgumentError('It must be the number of a job.')
}

export const jobNumbers = (text: string, before: readonly string[] = []): readonly string[] => [...before, jobNumber(text)]
