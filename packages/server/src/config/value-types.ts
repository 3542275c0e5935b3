import { nearest } from '../lib/nearest.ts'
import { maskCredentials } from './credentials.ts'
import { didYouMean } from './suggest.ts'

/**
 * What values a setting takes. Text from the environment and from flags is first turned into what YAML would have
 * made of it; from then on all sources are checked alike.
 */
export interface ValueType<Value> {
  /** What fits, in words that follow "expected"; the reference page shows them too. */
  readonly expected: string
  /** What a text stands for. Left out where text is what is wanted. Text that stands for nothing comes back as it is. */
  fromText?(text: string): unknown
  /** @returns `undefined` for what does not fit. */
  check(raw: unknown): Value | undefined
  /** What is wrong, in words that follow the setting's key, where more can be said than what was found and expected. */
  misfit?(raw: unknown): string | null
  /** The value as people may see it: whatever is secret in it is masked. */
  show?(value: Value): string
}

export function showValue(type: ValueType<unknown>, value: unknown): string {
  if (type.show !== undefined) return type.show(value)
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ')
  return String(value)
}

/** Says that a raw value does not fit, in words that follow a name. */
export function describeMisfit(type: ValueType<unknown>, raw: unknown): string {
  const special = type.misfit?.(raw)
  if (special != null) return special
  const meant = typeof raw === 'string' ? type.fromText?.(raw) : undefined
  const hint = meant === undefined || type.check(meant) === undefined ? '' : ` In YAML, write ${JSON.stringify(meant)}.`
  return `is ${quote(raw)}; expected ${type.expected}.${hint}`
}

const LONGEST_QUOTE = 80

function quote(raw: unknown): string {
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return 'a group of settings'
  if (typeof raw === 'number') return String(raw)
  const text = typeof raw === 'string' ? JSON.stringify(maskCredentials(raw)) : maskCredentials(JSON.stringify(raw))
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text
}

export const text: ValueType<string> = {
  expected: 'text',
  check: (raw) => (typeof raw === 'string' && raw.trim() !== '' ? raw : undefined),
}

export const path: ValueType<string> = {
  expected: 'a path',
  check: (raw) => (typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? raw : undefined),
}

/** Values and names are matched whatever their case. */
export function oneOf<const Value extends string>(
  values: readonly Value[],
  synonyms: Readonly<Record<string, Value>> = {},
): ValueType<Value> {
  const known = new Map<unknown, Value>([...values.map((value) => [value, value] as const), ...lowerCased(synonyms)])
  const others = Object.keys(synonyms)
  return {
    expected: `one of ${values.join(', ')}${others.length === 0 ? '' : ` (also ${others.join(', ')})`}`,
    check: (raw) => (typeof raw === 'string' ? known.get(raw.toLowerCase()) : undefined),
  }
}

/** One or more of the values, each once and in their order. */
export function someOf<const Value extends string>(values: readonly Value[]): ValueType<readonly Value[]> {
  const read = (raw: unknown): readonly string[] | null => {
    const items: unknown = typeof raw === 'string' ? splitList(raw) : raw
    const texts = Array.isArray(items) && items.every((item) => typeof item === 'string')
    return texts ? items.map((item) => item.toLowerCase()) : null
  }
  return {
    expected: `one or more of ${values.join(', ')}, separated by commas (in YAML also a list)`,
    fromText: splitList,
    check(raw) {
      const items = read(raw)
      const fits = items !== null && items.length > 0 && items.every((item) => values.some((value) => value === item))
      return fits ? values.filter((value) => items.includes(value)) : undefined
    },
    misfit(raw) {
      const wrong = read(raw)?.find((item) => !values.some((value) => value === item))
      if (wrong === undefined) return null
      return `names ${quote(wrong)}; expected one or more of ${values.join(', ')}.${didYouMean(nearest(wrong, values))}`
    },
  }
}

/** The items of a list that is given as text. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

const lowerCased = <Value>(synonyms: Readonly<Record<string, Value>>): [string, Value][] =>
  Object.entries(synonyms).map(([name, value]) => [name.toLowerCase(), value])

const TRUE = ['true', '1', 'yes', 'on']
const FALSE = ['false', '0', 'no', 'off']

export const boolean: ValueType<boolean> = {
  expected: 'true or false',
  fromText(text) {
    const word = text.toLowerCase()
    if (TRUE.includes(word)) return true
    return FALSE.includes(word) ? false : text
  },
  check: (raw) => (typeof raw === 'boolean' ? raw : undefined),
}

interface Range {
  readonly min: number
  readonly max: number
}

export const integer = ({ min, max }: Range): ValueType<number> => ({
  expected: `a whole number from ${min} to ${max}`,
  fromText: numberFromText,
  check: (raw) => (Number.isInteger(raw) ? within(raw as number, min, max) : undefined),
})

export const number = ({ min, max }: Range): ValueType<number> => ({
  expected: `a number from ${min} to ${max}`,
  fromText: numberFromText,
  check: (raw) => (typeof raw === 'number' ? within(raw, min, max) : undefined),
})

export const port: ValueType<number> = {
  ...integer({ min: 0, max: 65_535 }),
  misfit: (raw) =>
    typeof raw === 'string' && raw.includes(',')
      ? `is ${quote(raw)}, but one server has one port, on which it serves everything; expected one of them.`
      : null,
}

function numberFromText(text: string): unknown {
  return /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : text
}

function within(value: number, min: number, max: number): number | undefined {
  return value >= min && value <= max ? value : undefined
}

const NAMED_SIZES = [
  ['GiB', 2 ** 30],
  ['GB', 1e9],
  ['MiB', 2 ** 20],
  ['MB', 1e6],
  ['KiB', 2 ** 10],
  ['kB', 1e3],
] as const
const UNITS = new Map([['', 1], ['b', 1], ...NAMED_SIZES.map(([name, size]) => [name.toLowerCase(), size] as const)])

/** A number of bytes, also with a unit: `512kB`, `1.5 MiB`. */
export const byteSize = ({ min, max }: Range): ValueType<number> => ({
  expected: `a number of bytes from ${showBytes(min)} to ${showBytes(max)}, such as 1048576, 512kB or 10MiB`,
  fromText: numberFromText,
  check(raw) {
    if (typeof raw !== 'number' && typeof raw !== 'string') return undefined
    const match = /^(\d+(?:\.\d+)?) ?([kmg]?i?b|)$/i.exec(String(raw))
    const unit = UNITS.get(match?.[2]?.toLowerCase() ?? '')
    return match === null || unit === undefined ? undefined : within(Math.round(Number(match[1]) * unit), min, max)
  },
  show: showBytes,
})

function showBytes(bytes: number): string {
  const unit = NAMED_SIZES.find(([, size]) => bytes >= size && bytes % size === 0)
  return unit === undefined ? `${bytes} bytes` : `${bytes / unit[1]} ${unit[0]}`
}

const LEAST_SECRET = 8
/** What the replaced systems started with when nobody had set a key; everyone knows them. */
const OLD_DEFAULTS = ['default_key', 'default_token', 'auth_key_here']
const HOW_TO_MEND =
  'Remove it to have a random key made, or set one made with: node -p "crypto.randomBytes(24).toString(\'hex\')"'

/** A static key. Neither messages nor listings ever show it. */
export const secret: ValueType<string> = {
  expected: `text of at least ${LEAST_SECRET} characters`,
  check: (raw) => (secretFault(raw) === null ? (raw as string) : undefined),
  misfit: (raw) => `${secretFault(raw)}. ${HOW_TO_MEND}`,
  show: () => '***',
}

function secretFault(raw: unknown): string | null {
  if (typeof raw !== 'string') return 'is not text; expected text (in YAML, in quotes)'
  if (OLD_DEFAULTS.includes(raw.toLowerCase())) return 'is the well-known default of an older system; expected your own key'
  if (raw.length >= LEAST_SECRET) return null
  return `has ${raw.length} characters; expected at least ${LEAST_SECRET}`
}
