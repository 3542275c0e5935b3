import { nearest } from '../lib/nearest.ts'
import { didYouMean } from './suggest.ts'
import type { ValueType } from './value-types.ts'

const FIELDS = ['username', 'email', 'system_id', 'location', 'operation'] as const
type Field = (typeof FIELDS)[number]

/** A rule of `on_event`. */
export interface EventRuleSettings {
  readonly name: string
  readonly type: string | null
  readonly fields: Readonly<Partial<Record<Field, string>>>
  readonly queue: string
  readonly concurrencyKey: Field | null
  readonly priority: number | null
  readonly maxAttempts: number | null
}

const MEMBERS = ['name', 'match', 'queue', 'concurrencyKey', 'priority', 'maxAttempts'] as const
const MATCHED = ['type', ...FIELDS] as const

type Group = Readonly<Record<string, unknown>>

/** A list of rules; as text, the same list in JSON. */
export const eventRules: ValueType<readonly EventRuleSettings[]> = {
  expected: 'a list of rules with name, match and queue',
  fromText: parse,
  check(raw) {
    const rules = typeof raw === 'string' ? parse(raw) : raw
    return faultOf(rules) === null ? (rules as Group[]).map(toRule) : undefined
  },
  misfit(raw) {
    const fault = faultOf(typeof raw === 'string' ? parse(raw) : raw)
    return fault === null ? null : `does not fit: ${fault}`
  },
  show: (rules) => (rules.length === 0 ? 'none' : rules.map(({ name, queue }) => `${name} → ${queue}`).join(', ')),
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function toRule(rule: Group): EventRuleSettings {
  const { type = null, ...fields } = (rule.match ?? {}) as { readonly type?: string | null }
  return {
    name: rule.name as string,
    type,
    fields,
    queue: rule.queue as string,
    concurrencyKey: (rule.concurrencyKey as Field | undefined) ?? null,
    priority: (rule.priority as number | undefined) ?? null,
    maxAttempts: (rule.maxAttempts as number | undefined) ?? null,
  }
}

/** What is wrong, as a sentence; `null` if nothing is. */
function faultOf(rules: unknown): string | null {
  if (!Array.isArray(rules)) return 'expected a list of rules, each with name, match and queue.'
  for (const [index, rule] of rules.entries()) {
    const fault = isGroup(rule) ? faultOfRule(rule) : 'is no group of settings'
    if (fault !== null) return `rule ${index + 1} ${fault}.`
  }
  const names = rules.map(({ name }: Group) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  return twice === undefined ? null : `two rules have the name ${JSON.stringify(twice)}.`
}

function faultOfRule(rule: Group): string | null {
  const { name, match, queue, concurrencyKey, priority, maxAttempts } = rule
  const unknown = unknownName(rule, MEMBERS) ?? (isGroup(match) ? unknownName(match, MATCHED) : null)
  if (unknown !== null) return unknown
  if (!isName(name, 64)) return 'needs a name of 1 to 64 characters'
  if (!isName(queue, 256)) return 'needs a queue, by a name of 1 to 256 characters'
  if (match !== undefined && match !== null && !isGroup(match)) return 'has a match that is no group'
  const text = Object.entries((match ?? {}) as Group).find(([, value]) => typeof value !== 'string')
  if (text !== undefined) return `matches ${text[0]} against what is no text`
  if (concurrencyKey !== undefined && !FIELDS.some((field) => field === concurrencyKey))
    return `has a concurrencyKey that is none of ${FIELDS.join(', ')}`
  if (priority !== undefined && !isWithin(priority, 0, 9)) return 'has a priority that is no whole number from 0 to 9'
  if (maxAttempts !== undefined && !isWithin(maxAttempts, 1, 1_000))
    return 'has maxAttempts that are no whole number from 1 to 1000'
  return null
}

function unknownName(group: Group, known: readonly string[]): string | null {
  const name = Object.keys(group).find((key) => !known.includes(key))
  return name === undefined
    ? null
    : `has ${JSON.stringify(name)}, which means nothing.${didYouMean(nearest(name, known))}`.replace(/\.$/, '')
}

const isGroup = (value: unknown): value is Group => typeof value === 'object' && value !== null && !Array.isArray(value)

const isName = (value: unknown, longest: number): boolean =>
  typeof value === 'string' && value !== '' && value.length <= longest && value.isWellFormed()

const isWithin = (value: unknown, least: number, most: number): boolean =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most
