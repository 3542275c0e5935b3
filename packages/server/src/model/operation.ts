import type { Instant } from '../lib/time.ts'
import type { JobFilter } from './job-filter.ts'

/** What can be done to all jobs that match a filter. */
export const OperationAction = { retry: 'retry', cancel: 'cancel', delete: 'delete' } as const
export type OperationAction = (typeof OperationAction)[keyof typeof OperationAction]

export type OperationState = 'running' | 'completed' | 'aborted'

/**
 * An action on many jobs, done in batches by the server. It concerns the jobs that existed when it was asked for, each
 * at most once: the place it has got to is stored with each batch, so that a crash neither repeats nor skips any.
 */
export interface Operation {
  readonly id: number
  readonly action: OperationAction
  readonly filter: JobFilter
  readonly state: OperationState
  /** Jobs looked at so far. */
  readonly examined: number
  /** Jobs acted on so far. */
  readonly changed: number
  /** Jobs that matched but could not be acted on, for instance because their unique key is taken. */
  readonly skipped: number
  readonly createdAt: Instant
  readonly createdBy: string
  readonly finishedAt: Instant | null
}
