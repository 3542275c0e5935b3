import type { Duration, Instant } from '../../lib/time.ts'
import type { JobState, Labels, Progress } from '../../model/job.ts'
import type { Outcome } from '../../model/settle.ts'
import type { NewEvent } from './events.ts'
import type { ItemResult, MovedJob } from './storage.ts'

/** The hot path: handing jobs out and taking outcomes in. */
export interface LeaseStore {
  /**
   * Leases up to `limit` jobs of a queue to a worker: by priority, then oldest first; fewer where their payloads come to
   * `CHARACTERS_AT_ONCE`. The queue's pause, concurrency
   * and rate limits and those of the concurrency keys hold under any number of concurrent claims. No lease of a job with a
   * time-out outlasts `deadlineOf` (`model/settle.ts`), however often it is renewed.
   */
  claim(params: {
    readonly now: Instant
    readonly queue: string
    readonly worker: string
    readonly limit: number
    readonly lease: Duration
  }): Promise<Claim>

  /** Renews leases and stores progress. A beat with a stale fence, or past the deadline, changes nothing and is told so. */
  heartbeat(params: { readonly now: Instant; readonly beats: readonly Beat[] }): Promise<readonly BeatResult[]>

  /**
   * Settles attempts as `model/settle.ts` decides and records their events, in one transaction. A report that repeats
   * the one that settled the attempt is served again without effect.
   * Errors: `lease_lost`, `job_not_found`; without a fence also `job_finished`.
   */
  report(params: { readonly now: Instant; readonly reports: readonly Report[] }): Promise<readonly ReportResult[]>

  /**
   * Takes back at most `limit` jobs whose lease has run out, as `expiry` (`model/settle.ts`) says.
   * @param params.startedSince leaves attempts alone that were started earlier.
   * @returns those that were taken back.
   */
  rescue(params: {
    readonly now: Instant
    readonly startedSince?: Instant
    readonly limit: number
  }): Promise<readonly MovedJob[]>

  /**
   * Renews a running job's lease for a client that has no fencing token. With `start` the client says that it works on the
   * job: its status label goes, and if it is pending it is leased to the client, though it was not its turn; but not beyond the
   * concurrency of its queue and key. Without, a job that is not running stays as it is.
   * Errors: `job_not_found`; with `start` also `job_finished`, `job_must_wait`.
   */
  renew(params: {
    readonly now: Instant
    readonly id: number
    readonly worker: string
    readonly lease: Duration
    readonly start: boolean
  }): Promise<ItemResult>

  /**
   * Moves by the amount that the clock was stepped whatever was reckoned from the clock: all leases and deadlines, and the
   * times at which jobs may start that were started before: they wait out a backoff or a snooze, or a `runAt` that somebody gave
   * them since, which nothing tells apart. The `runAt` of a job that never started is the time that somebody named, and stays. What waits for a rate limit is reckoned anew.
   */
  shift(params: { readonly by: Duration }): Promise<void>
}

export interface Claim {
  readonly jobs: readonly ClaimedJob[]
  /**
   * When it is worth asking again although nothing becomes ready by a commit; `null` if only a commit can help. A time that
   * has come: at once, for a new limit concerns more jobs than one claim looks at.
   */
  readonly nextAt: Instant | null
}

export interface ClaimedJob {
  readonly id: number
  readonly fence: number
  readonly leaseUntil: Instant
  readonly attempt: number
  readonly maxAttempts: number
  readonly priority: number
  readonly createdAt: Instant
  readonly runAt: Instant
  readonly timeout: Duration | null
  readonly concurrencyKey: string | null
  readonly labels: Labels
  /** JSON text. */
  readonly payload: string
  readonly request: {
    readonly sourceIp: string | null
    readonly userAgent: string | null
    readonly method: string
    readonly url: string
    readonly contentType: string | null
    readonly headers: Readonly<Record<string, string>>
  }
}

export interface Beat {
  readonly id: number
  readonly fence: number
  readonly lease: Duration
  readonly progress: Progress | null
}

export interface BeatResult {
  readonly id: number
  /** `null` when the lease is lost. */
  readonly leaseUntil: Instant | null
  readonly cancelRequested: boolean
}

export interface Report {
  readonly id: number
  /**
   * `null` from clients of the capture API, which have no token: the report concerns whatever attempt is under way, also one
   * that a worker holds by its fence. That worker's next heartbeat finds the lease lost.
   */
  readonly fence: number | null
  readonly outcome: Outcome
  /** When the attempt ended, where the client says so; else now. */
  readonly finishedAt: Instant | null
  readonly events: readonly NewEvent[]
}

export interface ReportResult extends ItemResult {
  /** The job's state after the report; `null` on error. */
  readonly state: JobState | null
  readonly queue: string | null
}
