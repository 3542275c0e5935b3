import type { Backoff } from '../../lib/backoff.ts'
import type { Duration, Instant } from '../../lib/time.ts'
import type { Labels } from '../../model/job.ts'
import type { CapturedRequest, RequestSource } from '../../model/request.ts'
import type { Page, PageRequest } from './page.ts'
import type { ItemResult } from './storage.ts'

/** What came in, and the jobs it makes. */
export interface RequestStore {
  /**
   * Records requests and makes their jobs, each pair under one id. Ids and creation times rise together, and no id is
   * ever given twice, not even after a delete.
   * @returns one result for each item, in order.
   */
  submit(params: { readonly now: Instant; readonly items: readonly NewRequest[] }): Promise<readonly Submitted[]>

  find(params: { readonly ids: readonly number[] }): Promise<readonly CapturedRequest[]>

  list(params: { readonly filter: RequestFilter; readonly page: PageRequest }): Promise<Page<CapturedRequest>>

  /** Marks requests as handled or not. Errors: `request_not_found`. */
  setHandled(params: { readonly ids: readonly number[]; readonly handled: boolean }): Promise<readonly ItemResult[]>

  /** Deletes requests with their jobs, attempts, events and results, in whatever state. Errors: `request_not_found`. */
  delete(params: { readonly now: Instant; readonly ids: readonly number[] }): Promise<readonly ItemResult[]>
}

export interface NewRequest {
  readonly source: RequestSource
  readonly sourceIp: string | null
  readonly userAgent: string | null
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>> | null
  readonly contentType: string | null
  /** JSON text. */
  readonly body: string
  /** The job's queue. Comes to be with its first job. `null`: record the request, make no job. */
  readonly queue: string | null
  /** How the job is to run; left out where `queue` is `null`. */
  readonly job: NewJob | null
  readonly idempotency: Idempotency | null
}

export interface NewJob {
  readonly priority: number
  /** `null`: now. */
  readonly runAt: Instant | null
  readonly maxAttempts: number | null
  readonly backoff: Backoff | null
  /** While a pending or running job of the queue has this key, no second one is made. */
  readonly uniqueKey: string | null
  /** At most the queue's `keyConcurrency` jobs with this key run at once. */
  readonly concurrencyKey: string | null
  readonly timeout: Duration | null
  readonly labels: Labels | null
}

export interface Idempotency {
  readonly key: string
  /** A digest of the request; `null` to accept whatever comes under the key as a repetition. */
  readonly fingerprint: string | null
  readonly expiresAt: Instant
}

export interface Submitted {
  /** The request's id, and the job's if there is one. */
  readonly id: number
  readonly hasJob: boolean
  /**
   * - `created`
   * - `repeated`: the idempotency key was known; `id` is the first one's.
   * - `existing`: job `id` holds the unique key; nothing was recorded.
   * - `mismatch`: the idempotency key belongs to a different request; nothing was recorded.
   */
  readonly outcome: 'created' | 'repeated' | 'existing' | 'mismatch'
}

export interface RequestFilter {
  readonly queues?: readonly string[] | undefined
  readonly source?: RequestSource | undefined
  readonly createdFrom?: Instant | undefined
  /** Exclusive. */
  readonly createdTo?: Instant | undefined
  /** Text that the body contains, whatever the case. */
  readonly text?: string | undefined
}
