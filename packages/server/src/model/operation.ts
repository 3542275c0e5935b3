import type { Instant } from '../lib/time.ts'
import type { JobFilter } from './job-filter.ts'
import type { LogEventFilter } from './log-event.ts'

/** What can be done to all jobs that match a filter. */
export const JobAction = { retry: 'retry', cancel: 'cancel', delete: 'delete' } as const
export type JobAction = (typeof JobAction)[keyof typeof JobAction]

/** What is to be done, and to what. */
export type OperationAim =
  | { readonly action: JobAction; readonly filter: JobFilter }
  | { readonly action: 'delete_log_events'; readonly filter: LogEventFilter }

export type OperationAction = OperationAim['action']

export type OperationState = 'running' | 'completed' | 'aborted'

/**
 * An action on many jobs or log events, done in batches by the server. It concerns those that existed when it was asked for, each
 * at most once: the place it has got to is stored with each batch, so that a crash neither repeats nor skips any.
 */
export type Operation = OperationAim & OperationProgress

export interface OperationProgress {
  readonly id: number
  readonly state: OperationState
  /** Those that matched so far. */
  readonly examined: number
  /** Those acted on so far. */
  readonly changed: number
  /** Those that matched but could not be acted on, for instance because their unique key is taken. */
  readonly skipped: number
  readonly createdAt: Instant
  readonly createdBy: string
  readonly finishedAt: Instant | null
}
