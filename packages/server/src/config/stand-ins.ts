import { assembleUrl } from './database-url.ts'
import { host as hostType } from './network-types.ts'
import { type Given, notUsed, type Origins, type Reading } from './settle.ts'
import { boolean, describeMisfit, integer, type ValueType } from './value-types.ts'
import { sourceOf, type Variables } from './variables.ts'

/** What the variables of `old-names.ts` stand for that give a setting its value where nothing else does. */
export function readStandIns(variables: Variables): Reading {
  const problems: string[] = []
  const given = [databaseParts(variables, problems), debug(variables, problems)].filter((item) => item !== null)
  return { given, problems }
}

/** A sentence for every one that does nothing, since its setting is given elsewhere. */
export const standInNotices = (given: readonly Given[], origins: Origins): readonly string[] =>
  given.filter(({ key, source }) => origins[key].source !== source).map((item) => notUsed(item, origins))

function databaseParts(variables: Variables, problems: string[]): Given | null {
  if (!variables.has('DB_HOST')) return null
  const host = checked(variables, 'DB_HOST', hostType, problems)
  const port = checked(variables, 'DB_PORT', integer({ min: 1, max: 65_535 }), problems)
  const password = databasePassword(variables, problems)
  if (host === null) return null
  const name = variables.get('DB_NAME')?.text ?? null
  const user = variables.get('DB_USER')?.text ?? null
  const raw = assembleUrl({ host, port, name, user, password })
  return { key: 'database.url', name: 'DB_HOST', source: sourceOf('DB_HOST', variables.get('DB_HOST')!), raw }
}

/** The two names are on a par within one place; the environment comes before `.env` here too. */
function databasePassword(variables: Variables, problems: string[]): string | null {
  const [short, long] = [variables.get('DB_PASS'), variables.get('DB_PASSWORD')]
  if (short === undefined || long === undefined) return (short ?? long)?.text ?? null
  if (short.line === null && long.line !== null) return short.text
  if (short.line !== null && long.line === null) return long.text
  if (short.text !== long.text) {
    const sources = `${sourceOf('DB_PASS', short)}, ${sourceOf('DB_PASSWORD', long)}`
    problems.push(`${sources}: DB_PASS and DB_PASSWORD give different passwords. Remove one of them.`)
  }
  return short.text
}

function debug(variables: Variables, problems: string[]): Given | null {
  const on = checked(variables, 'DRUMPLER_DEBUG', boolean, problems)
  if (on !== true) return null
  const source = sourceOf('DRUMPLER_DEBUG', variables.get('DRUMPLER_DEBUG')!)
  return { key: 'logging.level', name: 'DRUMPLER_DEBUG', source, raw: 'debug' }
}

function checked<Value>(variables: Variables, name: string, type: ValueType<Value>, problems: string[]): Value | null {
  const variable = variables.get(name)
  if (variable === undefined) return null
  const raw = type.fromText?.(variable.text) ?? variable.text
  const value = type.check(raw)
  if (value === undefined) problems.push(`${sourceOf(name, variable)}: ${name} ${describeMisfit(type, raw)}`)
  return value ?? null
}
