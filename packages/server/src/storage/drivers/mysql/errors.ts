import { isOctoflowError, OctoflowError } from '../../../errors/octoflow-error.ts'

/** Error numbers, https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html and https://mariadb.com/kb/en/mariadb-error-codes/ */
const DEADLOCK = 1213
const LOCK_WAIT_TIMEOUT = 1205
const DUPLICATE_ENTRY = 1062
const PACKET_TOO_LARGE = 1153

const DISK_FULL: ReadonlySet<number> = new Set([
  1021, // disk full
  1114, // table full
])

const READ_ONLY: ReadonlySet<number> = new Set([
  1290, // read_only, super_read_only
  1792, // read-only transaction
  1836, // read-only mode
])

const CORRUPT: ReadonlySet<number> = new Set([
  1030, // trouble of the storage engine
  1033, // no description of the table
  1034, // index file
  1712, // index is corrupted
  1877, // table is corrupted
])

/** What an administrator has to mend before Octoflow can work with the database at all. */
const REFUSALS: ReadonlySet<number> = new Set([
  1044, // not allowed to use the database
  1045, // wrong user or password
  1046, // no database named
  1049, // no such database
  1130, // not from this host
  1142, // not allowed to use the table
  1143, // not allowed to use the column
  1227, // not allowed to
  1251, // the client's way to log in is not known
  1698, // wrong user or password, by plugin
  3118, // account locked
  4151, // account locked (MariaDB)
])

/** Trouble of the server or the way to it, which passes. */
const PASSING: ReadonlySet<number> = new Set([
  1040, // too many connections
  1053, // shutting down
  1077, // shut down
  1129, // host blocked after errors
  1203, // too many connections of the user
  1226, // a resource of the user is used up
  1317, // interrupted
  1927, // connection killed
  1969, // out of time (MariaDB)
  3024, // out of time
  3169, // session killed
  4031, // disconnected for being idle
])

const NETWORK: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'PROTOCOL_CONNECTION_LOST',
])

/** Says in Octoflow's terms what the server or the client reported. What is not a condition of the database comes back as it is. */
export function mapError(error: unknown): unknown {
  if (!(error instanceof Error) || isOctoflowError(error)) return error
  const number = numberOf(error)
  const cause = { cause: error }
  if (DISK_FULL.has(number)) return new OctoflowError('storage_full', {}, cause)
  if (READ_ONLY.has(number)) return new OctoflowError('storage_read_only', {}, cause)
  if (CORRUPT.has(number)) return new OctoflowError('storage_corrupt', { reason: error.message }, cause)
  if (REFUSALS.has(number)) return new OctoflowError('database_refused', { reason: error.message }, cause)
  if (number === PACKET_TOO_LARGE) return new OctoflowError('database_packet_too_large', {}, cause)
  if (number === LOCK_WAIT_TIMEOUT || PASSING.has(number) || isLost(error))
    return new OctoflowError('storage_unavailable', {}, cause)
  return error
}

/** Whether the connection is gone, as the client tells it. */
export const isLost = (error: Error): boolean =>
  ('fatal' in error && error.fatal === true) || NETWORK.has(codeOf(error)) || /closed state/.test(error.message)

/** Whether the transaction met another one's, and will see it when it is run again. */
export function isConflict(error: unknown): boolean {
  const number = numberOf(error)
  if (number === DEADLOCK || number === DUPLICATE_ENTRY) return true
  return isOctoflowError(error, 'storage_unavailable') && numberOf(error.cause) === LOCK_WAIT_TIMEOUT
}

const numberOf = (error: unknown): number =>
  error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : 0

/** An `AggregateError`, as from a host with several addresses, is what its first one is. */
function codeOf(error: Error): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0])
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
