import { isOctoflowError, OctoflowError } from '../../../errors/octoflow-error.ts'

/** SQLite's primary result codes, https://sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

/** Says in Octoflow's terms what SQLite reported. What is not a condition of the database comes back as it is. */
export function mapError(error: unknown): unknown {
  const code = resultCode(error)
  if (code === null || isOctoflowError(error)) return error
  switch (code) {
    case FULL:
      return new OctoflowError('storage_full', {}, { cause: error })
    case READONLY:
      return new OctoflowError('storage_read_only', {}, { cause: error })
    case CORRUPT:
    case NOTADB:
      return new OctoflowError('storage_corrupt', { reason: (error as Error).message }, { cause: error })
    case BUSY:
    case LOCKED:
    case IOERR:
    case CANTOPEN:
      return new OctoflowError('storage_unavailable', {}, { cause: error })
    default:
      return error
  }
}

/** Whether the trouble is the database's, so that trying the same work again at once would meet it again. */
export const isCondition = (error: unknown): boolean =>
  isOctoflowError(error, 'storage_full', 'storage_read_only', 'storage_corrupt', 'storage_unavailable', 'storage_closed')

export const isBusy = (error: unknown): boolean => resultCode(error) === BUSY || resultCode(error) === LOCKED

export const isNotADatabase = (error: unknown): boolean => resultCode(error) === NOTADB

function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}
