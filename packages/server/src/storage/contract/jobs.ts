import type { Instant } from '../../lib/time.ts'
import type { Attempt, Job, Labels } from '../../model/job.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import type { Page, PageRequest } from './page.ts'
import type { ItemResult } from './storage.ts'

/** How many attempts of a job are remembered: one that snoozes for ever has no end of them. */
export const ATTEMPTS_KEPT = 1_000

/** Looking at jobs and steering them from outside. */
export interface JobStore {
  find(params: { readonly ids: readonly number[] }): Promise<readonly Job[]>

  /** Costs the same at any depth and however many jobs there are. */
  list(params: { readonly filter: JobFilter; readonly page: PageRequest }): Promise<Page<Job>>

  /** The last `ATTEMPTS_KEPT` claims of a job and how they ended, oldest first. Empty for an unknown job. */
  attempts(params: { readonly id: number }): Promise<readonly Attempt[]>

  /** What the job runs with: its request's body, or what a retry put in its place. `null` for an unknown job. */
  payload(params: { readonly id: number }): Promise<string | null>

  /** The facts about a pending job from which it can be told why it waits. `null` if it is not pending. */
  waiting(params: { readonly now: Instant; readonly id: number }): Promise<WaitingFacts | null>

  /**
   * Cancels: a pending job at once, a running one through its worker's next heartbeat.
   * Errors: `job_not_found`, `job_finished`.
   */
  cancel(params: {
    readonly now: Instant
    readonly ids: readonly number[]
    readonly reason: string
    /** Recorded with each job concerned. */
    readonly note: string
  }): Promise<readonly ItemResult[]>

  /**
   * Runs finished jobs again, from their first attempt.
   * Errors: `job_not_found`, `job_not_finished`, `unique_key_taken`.
   */
  retry(params: {
    readonly now: Instant
    readonly items: readonly Retry[]
    readonly note: string
  }): Promise<readonly ItemResult[]>

  /** Changes a pending job. Errors: `job_not_found`, `job_running`, `job_finished`. */
  edit(params: {
    readonly now: Instant
    readonly id: number
    readonly change: JobChange
    readonly note: string
  }): Promise<ItemResult>

  /** Gives a job a status label, whatever its state. Errors: `job_not_found`. */
  label(params: { readonly id: number; readonly label: string }): Promise<ItemResult>
}

export interface Retry {
  readonly id: number
  /** JSON text to run with instead of the request's body. */
  readonly payload: string | null
  /** The queue to run in instead of the job's own. */
  readonly queue: string | null
}

export interface JobChange {
  readonly priority?: number | undefined
  readonly runAt?: Instant | undefined
  readonly labels?: Labels | undefined
}

export interface WaitingFacts {
  readonly job: Job
  /** What the job itself waits for: a worker, its time, or room for its concurrency key. */
  readonly stage: 'ready' | 'scheduled' | 'held'
  /**
   * How many jobs go before it, counted up to 1000: of a held job those that wait for the same key, of any other the ready
   * ones of its queue.
   */
  readonly ahead: number
  readonly queue: {
    readonly paused: boolean
    readonly running: number
    readonly concurrency: number | null
    /** When the rate limit lets the next job start; `null` if it does now. */
    readonly rateNextAt: Instant | null
  }
  readonly key: {
    readonly limit: number
    /** Running jobs of the key, at most 10 of them. */
    readonly holders: readonly { readonly id: number; readonly worker: string | null }[]
    readonly running: number
    readonly rateNextAt: Instant | null
  } | null
}
