import type { Duration, Instant } from '../../lib/time.ts'
import type { Stage } from './stages.ts'

/** A job as it is stored. What may be written is saved with the transaction. */
export interface JobRecord {
  readonly id: number
  readonly receivedAt: Instant
  readonly maxAttempts: number | null
  readonly timeout: Duration | null
  readonly concurrencyKey: string | null
  readonly uniqueKey: string | null
  queueId: number
  stage: Stage
  priority: number
  runAt: Instant
  leaseUntil: Instant | null
  startedAt: Instant | null
  finishedAt: Instant | null
  deadline: Instant | null
  attempt: number
  fence: number
  handled: boolean
  revised: boolean
  cancelRequested: boolean
  size: number | null
  worker: string | null
  options: string | null
  reason: string | null
  statusLabel: string | null
  progress: string | null
}
