import { resolve } from 'node:path'
import { compileDatabase, type Database } from './database-url.ts'
import { isLoopback } from './network-types.ts'
import type { SettingKey, Values } from './settings.ts'
import type { Origins } from './settle.ts'
import { describeFailure, whyUnreadable } from './text-file.ts'

/**
 * The configuration in force, frozen through and through: a value for every setting, with absolute paths. Numbers are
 * in the unit that their name ends in, bytes where it names none.
 */
export interface Config extends Omit<Values, 'database'> {
  readonly database: Database
}

/** @param cwd the working directory, absolute. */
export function compile(values: Values, cwd: string): Config {
  const { server, paths, database, handlers } = values
  const data = resolve(cwd, paths.data)
  const app = resolve(cwd, paths.app)
  return deepFreeze({
    ...values,
    server: { ...server, certificate: resolveIfSet(cwd, server.certificate), key: resolveIfSet(cwd, server.key) },
    paths: { data, app },
    database: compileDatabase(database.url, data),
    handlers: { ...handlers, directory: resolveIfSet(app, handlers.directory) },
  })
}

const resolveIfSet = (base: string, path: string | null): string | null => (path === null ? null : resolve(base, path))

export function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}

/** What does not fit together, though each value fits by itself. */
export function contradictions(config: Config, origins: Origins): readonly string[] {
  const { certificate, key, host } = config.server
  const problems = [
    unreadable('server.certificate', certificate),
    unreadable('server.key', key),
    alone('server.certificate', certificate, 'server.key', key),
    alone('server.key', key, 'server.certificate', certificate),
    config.security.disabled && !isLoopback(host) ? unprotected(host, origins['server.host'].source) : null,
  ]
  return problems.filter((problem) => problem !== null).map(([key, fault]) => `${origins[key].source}: ${key} ${fault}`)
}

/** A setting, and what is wrong with it in words that follow its key. */
type Problem = readonly [SettingKey, string]

function unreadable(key: SettingKey, file: string | null): Problem | null {
  const reason = file === null ? null : whyUnreadable(file)
  if (reason === null) return null
  return [key, `is ${JSON.stringify(file)}, which cannot be read: ${describeFailure(reason)}; expected a PEM file.`]
}

const alone = (key: SettingKey, file: string | null, other: SettingKey, otherFile: string | null): Problem | null =>
  file !== null && otherFile === null ? [key, `is set, but ${other} is not; expected both or neither.`] : null

const unprotected = (host: string, source: string): Problem => [
  'security.disabled',
  `is true, while server.host is ${host} (${source}). Others could use the server without a credential; ` +
    'expected server.host to be 127.0.0.1, ::1 or localhost.',
]
