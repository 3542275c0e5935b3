import type { ConnectionOptions } from 'mysql2'
import { OctoflowError } from '../../../errors/octoflow-error.ts'

interface Target {
  readonly client: ConnectionOptions
  readonly poolSize: number
}

const DEFAULT_PORT = 3306
const DEFAULT_POOL_SIZE = 10
const LARGEST_POOL = 100

/**
 * Parameters of the URL:
 * - `pool_size`: how many connections are opened at most.
 * - `unix_socket`: the path of the server's socket, in place of host and port.
 * - `ssl=true`: encrypts the connection and checks the server's certificate.
 * - `charset` is what SQLAlchemy's URLs often have, and does nothing: it is always utf8mb4.
 * @throws `config_invalid`
 */
export function parseUrl(text: string): Target {
  const url = URL.parse(text)
  // Nothing of it is shown: it may hold a password where none is looked for.
  if (url === null) throw misfit('is not a URL of one host: mysql://user:password@host:port/database')
  const database = decodeURIComponent(url.pathname.slice(1))
  if (database === '') throw misfit('names no database: mysql://user:password@host:port/database')
  const { pool_size: size = String(DEFAULT_POOL_SIZE), unix_socket: socketPath, ssl, charset: _, ...rest } = parametersOf(url)
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw misfit(`has the parameter ${unknown}; expected pool_size, unix_socket, ssl or charset`)
  if (ssl !== undefined && ssl !== 'true') throw misfit('has another ssl than ssl=true')
  const poolSize = /^\d+$/.test(size) ? Number(size) : 0
  if (poolSize < 1 || poolSize > LARGEST_POOL) throw misfit(`has pool_size=${size}; expected 1 to ${LARGEST_POOL} connections`)
  const address =
    socketPath === undefined
      ? { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? DEFAULT_PORT : Number(url.port) }
      : { socketPath }
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  return { client: { ...address, user, password, database, ...(ssl !== undefined && { ssl: {} }) }, poolSize }
}

const parametersOf = (url: URL): Readonly<Record<string, string>> => Object.fromEntries(url.searchParams)

const misfit = (fault: string): OctoflowError => new OctoflowError('config_invalid', { problems: `database.url ${fault}.` })
