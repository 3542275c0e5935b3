import { isOctoflowError, OctoflowError } from '../../../errors/octoflow-error.ts'

/** Error codes of the server, https://www.mongodb.com/docs/manual/reference/error-codes/ */
const DUPLICATE_KEY = 11_000
const OUT_OF_DISK_SPACE = 14_031
const NOT_IMPLEMENTED = 238
/** The server cannot do it now: it is going down, is not or no longer the primary, was not heard of, took too long. */
const CONDITIONS: ReadonlySet<number> = new Set([
  6, 7, 24, 50, 63, 64, 79, 89, 91, 100, 133, 134, 189, 202, 234, 262, 317, 358, 384, 9_001, 10_058, 10_107, 11_600, 11_602,
  13_388, 13_435, 13_436,
])
/** Bad credentials, or a user who may not do it. */
const REFUSALS: ReadonlySet<number> = new Set([13, 18, 8_000])

/**
 * Says in Octoflow's terms what the client or the server reported. What is not a condition of the database comes back as it
 * is.
 */
export function mapError(error: unknown): unknown {
  if (isOctoflowError(error)) return error
  if (isOfSocket(error)) return new OctoflowError('storage_unavailable', {}, { cause: error })
  if (!isMongoError(error)) return error
  if (isClosed(error)) return new OctoflowError('storage_closed', {}, { cause: error })
  const code = codeOf(error)
  if (code === OUT_OF_DISK_SPACE) return new OctoflowError('storage_full', {}, { cause: error })
  // A URL with an option that there is not, a server too old for the client, or one that does not let it in.
  if (/Parse|Compatibility/.test(error.name) || (code !== null && REFUSALS.has(code)))
    return new OctoflowError('database_refused', { reason: error.message }, { cause: error })
  return isCondition(error) ? new OctoflowError('storage_unavailable', {}, { cause: error }) : error
}

/** Whether the trouble is the database's, so that trying the same work again at once would meet it again. */
export const isTrouble = (error: unknown): boolean =>
  isOctoflowError(
    error,
    'storage_full',
    'storage_read_only',
    'storage_unavailable',
    'storage_outcome_unknown',
    'storage_closed',
    'database_refused',
  )

/** Whether a document with this `_id` is there already. */
export const isDuplicate = (error: unknown): boolean => isMongoError(error) && codeOf(error) === DUPLICATE_KEY

/** Which documents of an insert are there already; `null` where something else went wrong. */
export function duplicatesIn(error: unknown): readonly number[] | null {
  if (!isMongoError(error)) return null
  const { writeErrors } = error as { readonly writeErrors?: unknown }
  if (!Array.isArray(writeErrors) || writeErrors.length === 0) return null
  const errors = writeErrors as readonly { readonly code: number; readonly index: number }[]
  return errors.every(({ code }) => code === DUPLICATE_KEY) ? errors.map(({ index }) => index) : null
}

/** Whether the server speaks MongoDB's protocol, but this it does not know. */
export const isNotImplemented = (error: unknown): boolean => isMongoError(error) && codeOf(error) === NOT_IMPLEMENTED

/** Whether what was asked for surely was not begun: there was no server to ask. */
export const isNeverSent = (error: unknown): boolean =>
  isMongoError(error) && (error.name === 'MongoServerSelectionError' || isClosed(error))

/** By name, for to ask by class would load the client. */
const isMongoError = (error: unknown): error is Error => error instanceof Error && /^(?:Mongo|PoolCleared)/.test(error.name)

/** What a socket met while it was written to, which the client passes on as it is. */
const isOfSocket = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && ['read', 'write', 'connect'].includes(String(error.syscall))

/** The client has been closed, by `close()` alone. */
const isClosed = (error: Error): boolean =>
  ['MongoNotConnectedError', 'MongoTopologyClosedError', 'MongoClientClosedError'].includes(error.name)

function isCondition(error: Error): boolean {
  const code = codeOf(error)
  return (
    isOfClient(error) ||
    (code !== null && CONDITIONS.has(code)) ||
    /Network|ServerSelection|Timeout|WriteConcern|Pool/.test(error.name)
  )
}

/** What the client itself has met during a bulk write, a lost connection mostly, has no code, and no error of any write. */
const isOfClient = (error: Error): boolean =>
  error.name === 'MongoBulkWriteError' &&
  codeOf(error) === null &&
  (error as { readonly writeErrors?: unknown[] }).writeErrors?.length === 0

function codeOf(error: Error): number | null {
  return 'code' in error && typeof error.code === 'number' ? error.code : null
}
