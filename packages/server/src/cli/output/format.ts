import { fromIso, humanDuration, type Instant, SECOND } from '../../lib/time.ts'

/** Values as people read them. */

export const count = (number: number): string => number.toLocaleString('en')

/** `1 job`, `2 jobs`. */
export const countOf = (number: number, noun: string, plural = `${noun}s`): string =>
  `${count(number)} ${number === 1 ? noun : plural}`

/** `2026-11-21 10:15:30Z`; fractions of a second are left out. */
export const shortTime = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`

/** `10:15:30.123`. */
export const timeOfDay = (iso: string): string => iso.slice(11, 23).replace('Z', '')

/** How long ago that was, by this machine's clock. */
export function ago(iso: string, now: Instant): string {
  const at = fromIso(iso)
  if (at === null) return ''
  return at > now ? `in ${humanDuration(at - now)}` : `${humanDuration(now - at)} ago`
}

/** The time between two ISO texts. */
export const between = (from: string, to: string): string =>
  humanDuration(Math.max(0, (fromIso(to) ?? 0) - (fromIso(from) ?? 0)))

export const humanSeconds = (seconds: number): string => humanDuration(Math.round(seconds * SECOND))

/** `512 bytes`, `1.5 MiB`. */
export function bytes(size: number): string {
  if (size === 1) return '1 byte'
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, size)) / 10))
  const value = size / 1024 ** power
  return `${value < 10 && power > 0 ? Number(value.toFixed(1)) : Math.round(value)} ${units[power]}`
}

/** JSON text with line breaks and indentation, or as it is where reading and printing it would change a number. */
export function prettyJson(text: string): string {
  const value: unknown = JSON.parse(text)
  const same = JSON.stringify(value) === text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1')
  return same ? JSON.stringify(value, null, 2) : text
}
