import { parseEnv } from 'node:util'
import { meaninglessVariables, unusedVariables } from './old-names.ts'
import { type SettingKey, settingFor, settingKeys } from './settings.ts'
import type { Given } from './settle.ts'
import { didYouMean, nameOnly, suggest } from './suggest.ts'
import { describeFailure, isMissing, readTextFile } from './text-file.ts'

export interface Variable {
  readonly text: string
  /** The line of the `.env` file, counted from 1; `null` for the real environment. */
  readonly line: number | null
}

/** Variables that are set, by name. */
export type Variables = ReadonlyMap<string, Variable>

export const sourceOf = (name: string, { line }: Variable): string =>
  line === null ? `${name} in the environment` : `.env line ${line}`

const placeOf = (name: string, variable: Variable): string =>
  variable.line === null ? sourceOf(name, variable) : `${name} in ${sourceOf(name, variable)}`

// Kubernetes sets these for every service of a namespace. For one that is called octoflow they look like ours, and
// OCTOFLOW_PORT=tcp://10.0.0.7:5000 or, from a service drumpler, DRUMPLER_PORT=tcp://… would stop every start.
const KUBERNETES_NAME = /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/
const KUBERNETES_ADDRESS = /^(tcp|udp|sctp):\/\//

const isFromKubernetes = (name: string, value: string): boolean =>
  KUBERNETES_NAME.test(name) || (name.endsWith('_PORT') && KUBERNETES_ADDRESS.test(value))

/** An empty variable, or one of spaces, counts as not set. */
export function environmentVariables(env: Readonly<Record<string, string | undefined>>): Variables {
  const set = Object.entries(env).flatMap(([name, value = '']) => {
    const text = value.trim()
    return text === '' || isFromKubernetes(name, text) ? [] : [[name, { text, line: null }] as const]
  })
  return new Map(set)
}

/** The variables of a `.env` file; none if there is no such file. */
export function envFileVariables(file: string): { readonly variables: Variables; readonly problems: readonly string[] } {
  const read = readTextFile(file)
  if ('failure' in read) {
    // Python projects often keep a virtual environment in a directory of this name.
    const absent = isMissing(read.failure) || read.failure === 'EISDIR'
    const problem = `.env: ${file} cannot be read: ${describeFailure(read.failure)}. Make it readable, or remove it.`
    return { variables: new Map(), problems: absent ? [] : [problem] }
  }
  const lines = read.text.split(/\r?\n/)
  const set = Object.entries(parseEnv(read.text)).flatMap(([name, value = '']) => {
    const text = value.trim()
    return text === '' ? [] : [[name, { text, line: lineOf(name, lines) }] as const]
  })
  return { variables: new Map(set), problems: [] }
}

/** The last line that sets it, since that is the one whose value counts. */
function lineOf(name: string, lines: readonly string[]): number {
  return lines.findLastIndex((line) => /^\s*(?:export\s+)?(.*?)\s*=/.exec(line)?.[1] === name) + 1
}

/** Every setting's own variable: `OCTOFLOW_SERVER_BODY_LIMIT` for `server.bodyLimit`. */
export const ownVariable = (key: SettingKey): string => PREFIX + key.replace('.', '_').replace(/[A-Z]/g, '_$&').toUpperCase()

const PREFIX = 'OCTOFLOW_'

/** What the command line reads itself, to reach a running server. */
const COMMAND_LINE = ['OCTOFLOW_URL', 'OCTOFLOW_KEY']

const namesOf = (key: SettingKey): readonly string[] => [ownVariable(key), ...(settingFor(key).env ?? [])]

export function readVariables(variables: Variables): readonly Given[] {
  return settingKeys.flatMap((key) => {
    const { type } = settingFor(key)
    return namesOf(key).flatMap((name) => {
      const variable = variables.get(name)
      if (variable === undefined) return []
      const raw = type.fromText?.(variable.text) ?? variable.text
      return [{ key, name, source: sourceOf(name, variable), raw }]
    })
  })
}

/** Variables with Octoflow's prefix that are none of its own: most likely misspelt, and silently ignored otherwise. */
export function misspeltVariables(variables: Variables): readonly string[] {
  const own = settingKeys.map(ownVariable)
  return [...variables]
    .filter(([name]) => name.startsWith(PREFIX) && !own.includes(name) && !COMMAND_LINE.includes(name))
    .map(([name, variable]) => [nameOnly(name), variable] as const)
    .map(([name, variable]) => `${placeOf(name, variable)} is not a setting.${didYouMean(suggestVariable(name))}`)
}

function suggestVariable(wrong: string): string | null {
  const own = [...settingKeys.map(ownVariable), ...COMMAND_LINE].map((name) => [name.slice(PREFIX.length), name] as const)
  const aliases = settingKeys.flatMap((key) => (settingFor(key).env ?? []).map((name) => [name, ownVariable(key)] as const))
  const names = new Map([...aliases, ...own])
  const meant = suggest(wrong.slice(PREFIX.length), [...names.keys()], '_')
  return meant === null ? null : names.get(meant)!
}

/** A sentence for every variable that is set and does nothing. */
export function variableNotices(variables: Variables): readonly string[] {
  return [
    ...notices(variables, meaninglessVariables, (reason) => `is ignored: ${reason}.`),
    ...notices(variables, unusedVariables, (what) => `is not used: this version does not ${what} yet.`),
  ]
}

function notices(variables: Variables, names: Readonly<Record<string, string>>, rest: (text: string) => string): string[] {
  return Object.entries(names).flatMap(([name, text]) => {
    const variable = variables.get(name)
    return variable === undefined ? [] : [`${placeOf(name, variable)} ${rest(text)}`]
  })
}
