import { type Backoff, DEFAULT_BACKOFF } from '../lib/backoff.ts'
import type { Duration, Instant } from '../lib/time.ts'
import type { JobState } from './job.ts'
import type { RateLimit } from './rate-limit.ts'

/** A queue's name: any text of 1 to 256 characters. */
export const QUEUE_NAME_LENGTH = 256

export const DEFAULT_MAX_ATTEMPTS = 3

/** What an operator sets on a queue. `null` means: no limit, or the default. */
export interface QueueSettings {
  readonly paused: boolean
  /** How many of its jobs may run at once. */
  readonly concurrency: number | null
  /** How many jobs of one concurrency key may run at once. */
  readonly keyConcurrency: number
  readonly rateLimit: RateLimit | null
  /** The rate limit of each concurrency key. */
  readonly keyRateLimit: RateLimit | null
  readonly maxAttempts: number | null
  readonly backoff: Backoff | null
  /** How long finished jobs are kept; `null` for ever. */
  readonly retention: Duration | null
  /** The handler file that runs its jobs inside the server. */
  readonly handler: string | null
}

export const DEFAULT_QUEUE_SETTINGS: QueueSettings = {
  paused: false,
  concurrency: null,
  keyConcurrency: 1,
  rateLimit: null,
  keyRateLimit: null,
  maxAttempts: null,
  backoff: null,
  retention: null,
  handler: null,
}

export interface Queue extends QueueSettings {
  readonly name: string
  readonly createdAt: Instant
  /** Rises with every change of the settings; what an `ETag` is made of. */
  readonly version: number
  readonly counts: QueueCounts
}

/**
 * How many of a queue's jobs are in each state; the pending ones by what they wait for. A job whose time has come, or whose
 * key a new limit gives room, is counted among the ready ones from the next claim on.
 */
export interface QueueCounts extends Readonly<Record<JobState, number>> {
  /** Pending and free to start. */
  readonly ready: number
  /** Pending until their `runAt`. */
  readonly scheduled: number
  /** Pending until their concurrency key has room. */
  readonly held: number
}

/** The retry policy of a job: its own where it has one, else its queue's, else the default. */
export function retryPolicy(
  job: { readonly maxAttempts: number | null; readonly backoff: Backoff | null },
  queue: Pick<QueueSettings, 'maxAttempts' | 'backoff'>,
): { maxAttempts: number; backoff: Backoff } {
  return {
    maxAttempts: job.maxAttempts ?? queue.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
    backoff: job.backoff ?? queue.backoff ?? DEFAULT_BACKOFF,
  }
}
