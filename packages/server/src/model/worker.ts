import type { Duration, Instant } from '../lib/time.ts'
import { MINUTE } from '../lib/time.ts'

/** A process that takes jobs, as far as its calls tell of it. */
export interface WorkerInfo {
  readonly id: string
  readonly queues: readonly string[]
  readonly firstSeenAt: Instant
  readonly lastSeenAt: Instant
  /** It takes no more jobs and ends when it has none left. */
  readonly draining: boolean
  /** Name and version of the client library, where it says so. */
  readonly agent: string | null
}

/** A worker that was not heard of for so long is taken for gone. */
export const WORKER_GONE_AFTER: Duration = 2 * MINUTE

export const isAlive = ({ lastSeenAt }: Pick<WorkerInfo, 'lastSeenAt'>, now: Instant): boolean =>
  now - lastSeenAt < WORKER_GONE_AFTER
