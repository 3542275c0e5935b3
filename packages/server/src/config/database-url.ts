import { isAbsolute, resolve } from 'node:path'
import { maskCredentials } from './credentials.ts'
import type { ValueType } from './value-types.ts'

export const DATABASE_DRIVERS = ['sqlite', 'postgres', 'mysql', 'mongodb'] as const
export type DatabaseDriver = (typeof DATABASE_DRIVERS)[number]

/** Where everything is stored. */
export interface Database {
  readonly driver: DatabaseDriver
  /** SQLite: the absolute path of the file, or `:memory:`. Otherwise the URL in the form that the driver's client takes. */
  readonly url: string
}

/** The file of the embedded database in the data directory. */
export const DATABASE_FILE = 'octoflow.db'
export const MEMORY = ':memory:'

const SCHEMES: Readonly<Record<string, { readonly driver: DatabaseDriver; readonly scheme: string }>> = {
  sqlite: { driver: 'sqlite', scheme: 'sqlite' },
  postgres: { driver: 'postgres', scheme: 'postgres' },
  postgresql: { driver: 'postgres', scheme: 'postgres' },
  mysql: { driver: 'mysql', scheme: 'mysql' },
  mariadb: { driver: 'mysql', scheme: 'mysql' },
  mongodb: { driver: 'mongodb', scheme: 'mongodb' },
  'mongodb+srv': { driver: 'mongodb', scheme: 'mongodb+srv' },
}

/**
 * A database URL, also in SQLAlchemy's form: `postgresql+psycopg2://…`, and for SQLite three slashes before a relative
 * path and four for an absolute one. The path of a SQLite file is still as it was written.
 */
export const databaseUrl: ValueType<Database> = {
  expected: 'a URL that begins with sqlite:, postgresql://, mysql:// or mongodb://',
  check: (raw) => (typeof raw === 'string' ? parse(raw) : undefined),
  // A URL that is not understood may hold a password where none is looked for, so nothing but its scheme is shown.
  misfit(raw) {
    if (typeof raw !== 'string') return `is not text; expected ${this.expected}.`
    if (/^sqlite(\+\w+)?:/i.test(raw)) return 'names no file; expected sqlite:///relative.db or sqlite:////absolute/path.db.'
    const scheme = /^[a-z][a-z\d+.-]*(?=:\/\/)/i.exec(raw)?.[0]
    const found = scheme === undefined ? 'has no scheme' : `begins with ${scheme}://`
    return `${found}; expected ${this.expected}.`
  },
  show: ({ driver, url }) => (driver === 'sqlite' ? `sqlite:${url}` : maskCredentials(url)),
}

function parse(text: string): Database | undefined {
  const [, name, rest] = /^([a-z][a-z\d+.-]*):(.*)$/is.exec(text) ?? []
  const known = name === undefined ? undefined : lookUp(name)
  if (known === undefined || rest === undefined) return undefined
  if (known.driver !== 'sqlite')
    return /^\/\/./.test(rest) ? { driver: known.driver, url: `${known.scheme}:${rest}` } : undefined
  const file = sqliteFile(rest)
  return file === null ? undefined : { driver: 'sqlite', url: file }
}

/** By the whole scheme, else without the client library's name that SQLAlchemy adds after a plus sign. */
function lookUp(name: string): (typeof SCHEMES)[string] | undefined {
  const scheme = name.toLowerCase()
  const key = [scheme, scheme.replace(/\+.*/, '')].find((candidate) => Object.hasOwn(SCHEMES, candidate))
  return key === undefined ? undefined : SCHEMES[key]
}

/** Parameters after `?` speak to Python's driver and are left out. An empty path would lose all data in memory: refused. */
function sqliteFile(rest: string): string | null {
  const path = rest.replace(/\?.*$/s, '')
  const [, afterSlashes] = /^\/\/(?:\/(.*))?$/s.exec(path) ?? []
  const file = path.startsWith('//') ? afterSlashes : path
  return file === undefined || file === '' || file === '/' ? null : file
}

/** @param data the data directory, which holds the embedded database and relative paths begin at. */
export function compileDatabase(database: Database | null, data: string): Database {
  if (database === null) return { driver: 'sqlite', url: resolve(data, DATABASE_FILE) }
  if (database.driver !== 'sqlite' || database.url === MEMORY || isAbsolute(database.url)) return database
  return { driver: 'sqlite', url: resolve(data, database.url) }
}

/** What the replaced systems knew a database by when they had no URL. */
export interface DatabaseParts {
  readonly host: string
  readonly port: number | null
  readonly name: string | null
  readonly user: string | null
  readonly password: string | null
}

const SCHEME_BY_PORT: Readonly<Record<number, string>> = { 3306: 'mysql', 27017: 'mongodb' }

/** The port tells the kind of database: 3306 MySQL, 27017 MongoDB, any other PostgreSQL. */
export function assembleUrl({ host, port, name, user, password }: DatabaseParts): string {
  const scheme = SCHEME_BY_PORT[port ?? 0] ?? 'postgres'
  const secret = password === null ? '' : `:${encodeURIComponent(password)}`
  const credentials = user === null && password === null ? '' : `${encodeURIComponent(user ?? '')}${secret}@`
  const address = `${host.includes(':') ? `[${host}]` : host}${port === null ? '' : `:${port}`}`
  return `${scheme}://${credentials}${address}${name === null ? '' : `/${encodeURIComponent(name)}`}`
}
