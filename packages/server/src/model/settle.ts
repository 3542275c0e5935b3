import { type Backoff, backoffDelay } from '../lib/backoff.ts'
import { type Duration, type Instant, SECOND } from '../lib/time.ts'
import { type AttemptOutcome, DeadReason, type JobError, type JobState } from './job.ts'
import { next, type Trigger } from './transitions.ts'

/** How an attempt ended, as its worker reports it. An outcome is a value; nothing about it is exceptional. */
export type Outcome =
  | { readonly kind: 'completed'; readonly result: string | null; readonly handled: boolean }
  | { readonly kind: 'failed'; readonly error: JobError; readonly random: number }
  | { readonly kind: 'snoozed'; readonly delay: Duration }
  | { readonly kind: 'released' }
  | { readonly kind: 'cancelled'; readonly reason: string | null }
  | { readonly kind: 'discarded'; readonly reason: string; readonly error: JobError | null }
  | { readonly kind: 'lease_expired' }

/** What the decision depends on: the job as stored, with its queue's defaults filled in. */
export interface SettledJob {
  readonly state: JobState
  readonly attempt: number
  readonly maxAttempts: number
  readonly backoff: Backoff
  readonly cancelRequested: boolean
}

/** How long a worker may take to end its attempt and report, once the time-out has struck. */
const TIMEOUT_GRACE: Duration = 5 * SECOND

/** When an attempt with a time-out is taken from its worker at the latest, however alive that is. */
export const deadlineOf = (startedAt: Instant, timeout: Duration): Instant => startedAt + timeout + TIMEOUT_GRACE

/** How an attempt ended whose lease ran out. @param deadline of a job with a time-out. */
export const expiry = (deadline: Instant | null, now: Instant): Outcome =>
  deadline !== null && deadline <= now ? TIMED_OUT : { kind: 'lease_expired' }

/** What becomes of the job. */
export interface Settlement {
  readonly trigger: Trigger
  readonly state: JobState
  /** The attempt count from here on. */
  readonly attempt: number
  /** For a job that is pending again: when it may start. */
  readonly runAt: Instant | null
  readonly reason: string | null
  readonly outcome: AttemptOutcome
  readonly error: JobError | null
}

const LEASE_EXPIRED: JobError = {
  code: 'lease_expired',
  message: 'The worker stopped sending heartbeats before it reported an outcome.',
  detail: null,
}

const TIMED_OUT: Outcome = {
  kind: 'failed',
  error: {
    code: 'timeout',
    message: 'The job ran for longer than its time-out, and its worker did not end it.',
    detail: null,
  },
  random: 0.5,
}

/**
 * Decides what becomes of a job whose attempt ended. Pure, so that every driver decides alike.
 * @returns `null` where the outcome is not allowed in the job's state.
 */
export function settle(job: SettledJob, outcome: Outcome, now: Instant): Settlement | null {
  const intent = decide(job, outcome, now)
  const state = next(intent.trigger, job.state)
  if (state === null) return null
  return { attempt: job.attempt, runAt: null, reason: null, error: null, outcome: outcome.kind, ...intent, state }
}

type Intent = { readonly trigger: Trigger } & Partial<Omit<Settlement, 'trigger' | 'state'>>

function decide(job: SettledJob, outcome: Outcome, now: Instant): Intent {
  switch (outcome.kind) {
    case 'completed':
      return { trigger: 'complete' }
    case 'cancelled':
      return { trigger: 'cancel', reason: outcome.reason }
    case 'discarded':
      return { trigger: 'bury', reason: outcome.reason, error: outcome.error }
    case 'snoozed':
      if (job.cancelRequested) return { trigger: 'cancel' }
      return { trigger: 'snooze', attempt: job.attempt - 1, runAt: now + outcome.delay }
    case 'released':
      if (job.cancelRequested) return { trigger: 'cancel' }
      return { trigger: 'release', attempt: job.attempt - 1, runAt: now }
    case 'failed':
      if (job.cancelRequested) return { trigger: 'cancel', error: outcome.error }
      if (job.attempt >= job.maxAttempts) return { trigger: 'bury', reason: DeadReason.attemptsExhausted, error: outcome.error }
      return {
        trigger: 'retry',
        runAt: now + backoffDelay(job.backoff, job.attempt, outcome.random),
        error: outcome.error,
      }
    case 'lease_expired':
      if (job.cancelRequested) return { trigger: 'cancel', error: LEASE_EXPIRED }
      if (job.attempt >= job.maxAttempts) return { trigger: 'bury', reason: DeadReason.leaseExpired, error: LEASE_EXPIRED }
      return { trigger: 'rescue', runAt: now, error: LEASE_EXPIRED }
  }
}
