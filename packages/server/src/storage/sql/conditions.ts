import { isOctoflowError } from '../../errors/octoflow-error.ts'

/** Whether the trouble is the database's, so that trying the same work again at once would meet it again. */
export const isCondition = (error: unknown): boolean =>
  isOctoflowError(
    error,
    'storage_full',
    'storage_read_only',
    'storage_corrupt',
    'storage_unavailable',
    'storage_outcome_unknown',
    'storage_closed',
    'database_refused',
  )
