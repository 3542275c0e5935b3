import { isOctoflowError, OctoflowError } from '../../../errors/octoflow-error.ts'

/** SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html */
const SERIALIZATION_FAILURE = '40001'
const DEADLOCK_DETECTED = '40P01'
const UNIQUE_VIOLATION = '23505'
const DISK_FULL = '53100'
const READ_ONLY = '25006'

/** What an administrator has to mend before Octoflow can work with the database at all. */
const REFUSALS: ReadonlySet<string> = new Set([
  '28000', // invalid authorization: no such user, or none of pg_hba.conf's lines fits
  '28P01', // wrong password
  '3D000', // no such database
  '3F000', // no such schema
  '42501', // not allowed to
  '0A000', // a feature this version lacks
])

const CORRUPT: ReadonlySet<string> = new Set(['XX001', 'XX002'])

/** Trouble of the server or the way to it, which passes: not connected, shutting down, too many connections, out of time. */
const PASSING = /^(?:08|57P|53)|^(?:57014|55P03|25P03|25P04)$/

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
  'EACCES',
])

/** The client's own errors, which have no code. */
const LOST = /^(?:Connection terminated|timeout expired|Client (?:has encountered|was closed)|The server does not support SSL)/

/** Says in Octoflow's terms what PostgreSQL or its client reported. What is not a condition of the database comes back as it is. */
export function mapError(error: unknown): unknown {
  if (!(error instanceof Error) || isOctoflowError(error)) return error
  const code = codeOf(error)
  const cause = { cause: error }
  if (code === DISK_FULL) return new OctoflowError('storage_full', {}, cause)
  if (code === READ_ONLY) return new OctoflowError('storage_read_only', {}, cause)
  if (CORRUPT.has(code)) return new OctoflowError('storage_corrupt', { reason: error.message }, cause)
  if (REFUSALS.has(code)) return new OctoflowError('database_refused', { reason: error.message }, cause)
  if (PASSING.test(code) || NETWORK.has(code) || LOST.test(error.message))
    return new OctoflowError('storage_unavailable', {}, cause)
  return error
}

const CONFLICTS: ReadonlySet<string> = new Set([SERIALIZATION_FAILURE, DEADLOCK_DETECTED, UNIQUE_VIOLATION])

/** Whether the transaction met another one's, was rolled back, and will see it when it is run again. */
export const isConflict = (error: unknown): boolean => error instanceof Error && CONFLICTS.has(codeOf(error))

/** An `AggregateError`, as from a host with several addresses, is what its first one is. */
function codeOf(error: Error): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0])
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
