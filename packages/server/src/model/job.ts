import type { Backoff } from '../lib/backoff.ts'
import type { Duration, Instant } from '../lib/time.ts'

/** Where a job is in its life; `transitions.ts` says how it gets from one to the next. */
export const JobState = {
  pending: 'pending',
  running: 'running',
  completed: 'completed',
  cancelled: 'cancelled',
  dead: 'dead',
} as const
export type JobState = (typeof JobState)[keyof typeof JobState]

export const JOB_STATES = Object.values(JobState)

export type FinishedState = 'completed' | 'cancelled' | 'dead'

export const isFinished = (state: JobState): state is FinishedState => state !== 'pending' && state !== 'running'

/** Priorities run from 0, the most urgent, to 9. */
export const DEFAULT_PRIORITY = 5
export const LOWEST_PRIORITY = 9

/** The unit of work. It has the id of the request it hangs on: one counter numbers both. */
export interface Job {
  readonly id: number
  readonly queue: string
  readonly state: JobState
  readonly priority: number
  readonly createdAt: Instant
  /** Not started before this. */
  readonly runAt: Instant
  /** When the current or last attempt began. */
  readonly startedAt: Instant | null
  readonly finishedAt: Instant | null
  /** The current or last attempt, counted from 1; a snoozed or released attempt does not count. 0 before the first. */
  readonly attempt: number
  /** The job's own limit, or `null` where its queue's applies. */
  readonly maxAttempts: number | null
  /** How often the job was claimed: the fencing token of the current lease. Never goes back. */
  readonly fence: number
  readonly leaseUntil: Instant | null
  /** Who holds, or last held, the lease. */
  readonly worker: string | null
  readonly uniqueKey: string | null
  readonly concurrencyKey: string | null
  readonly backoff: Backoff | null
  /** How long one attempt may take; `null` for as long as its lease is kept alive. */
  readonly timeout: Duration | null
  readonly labels: Labels
  /** Free text that an old client gave as status. */
  readonly statusLabel: string | null
  readonly progress: Progress | null
  /** Whether a running job was asked to end and has not ended yet; how it ended, its state tells. */
  readonly cancelRequested: boolean
  /** Why the job is dead or was cancelled. */
  readonly reason: string | null
}

export type Labels = Readonly<Record<string, string>>

export interface Progress {
  /** 0 to 1, or `null` when the worker cannot tell. */
  readonly fraction: number | null
  readonly message: string | null
}

/** Why a job is dead. Other reasons than these come from the worker that discarded it. */
export const DeadReason = {
  attemptsExhausted: 'attempts_exhausted',
  leaseExpired: 'lease_expired',
  discarded: 'discarded',
  reportedError: 'reported_error',
} as const

/** What went wrong in an attempt, as the worker told it. */
export interface JobError {
  readonly message: string
  readonly code: string | null
  /** A stack trace or whatever else helps; shown to operators, never parsed. */
  readonly detail: string | null
}

/** One claim of a job and how it ended. */
export interface Attempt {
  readonly fence: number
  readonly attempt: number
  readonly worker: string | null
  readonly startedAt: Instant
  readonly finishedAt: Instant | null
  readonly outcome: AttemptOutcome | null
  readonly error: JobError | null
}

export type AttemptOutcome = 'completed' | 'failed' | 'snoozed' | 'released' | 'cancelled' | 'discarded' | 'lease_expired'
