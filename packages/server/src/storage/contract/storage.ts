import type { OctoflowError } from '../../errors/octoflow-error.ts'
import type { JobState } from '../../model/job.ts'
import type { AccessStore } from './access.ts'
import type { EventStore } from './events.ts'
import type { IdempotencyStore } from './idempotency.ts'
import type { JobStore } from './jobs.ts'
import type { LeaderStore } from './leader.ts'
import type { LeaseStore } from './leases.ts'
import type { LogEventStore } from './log-events.ts'
import type { MigrationStore } from './migrations.ts'
import type { OperationStore } from './operations.ts'
import type { QueueStore } from './queues.ts'
import type { RequestStore } from './requests.ts'
import type { ResultStore } from './results.ts'
import type { StatsStore } from './stats.ts'
import type { TransferStore } from './transfer.ts'
import type { UpkeepStore } from './upkeep.ts'
import type { WorkerStore } from './workers.ts'

/**
 * What the engine needs of a database, in the engine's words.
 *
 * - Every verb is atomic: all of it is stored or, when its promise rejects, none. Where a verb takes many items, an item
 *   that cannot be served gets its own error in the answer and leaves the others alone.
 * - A write is on disk when its promise resolves. Writes asked for concurrently may share a transaction; that is the
 *   driver's to arrange and is never waited for.
 * - `now` is always a parameter. A driver reads no clock and throws no dice.
 * - No connection, transaction or SQL crosses this contract, and no vendor's error: drivers throw `OctoflowError`.
 *
 * `test/conformance/` is the law for every driver; these comments only summarise it.
 */
export interface Storage {
  readonly capabilities: StorageCapabilities
  readonly migrations: MigrationStore
  readonly requests: RequestStore
  readonly jobs: JobStore
  readonly leases: LeaseStore
  readonly events: EventStore
  readonly results: ResultStore
  readonly queues: QueueStore
  readonly workers: WorkerStore
  readonly operations: OperationStore
  readonly stats: StatsStore
  readonly access: AccessStore
  readonly idempotency: IdempotencyStore
  readonly leader: LeaderStore
  readonly logEvents: LogEventStore
  readonly transfer: TransferStore
  readonly upkeep: UpkeepStore

  /**
   * Tells, after the commit, which queues are worth claiming from again, so that nobody polls: jobs became free to start,
   * a place in a queue at its limit became free, or the time at which the next job may start has moved.
   * @returns ends the subscription.
   */
  onReady(listener: ReadyListener): () => void

  /**
   * Tells, after the commit, that log events may have become ready to be followed. Like `onReady`, it learns of other servers'
   * commits as `capabilities.signals` says.
   * @returns ends the subscription.
   */
  onLogEvents(listener: () => void): () => void

  /** Closes the database. Verbs still under way finish first; later ones reject with `storage_closed`. */
  close(): Promise<void>
}

/** @param count for how many callers a claim is worth it; `null` where the driver cannot tell. */
export type ReadyListener = (queue: string, count: number | null) => void

/** What differs between databases, so that nothing above a driver asks for a database's name. */
export interface StorageCapabilities {
  /** How `onReady` and `onLogEvents` learn of other servers' commits: `none` means that a slow poll must stand in. */
  readonly signals: 'all-servers' | 'none'
  /** Whether several servers may share the database. */
  readonly shared: boolean
}

/** A job that a verb led to another state, for those who watch. */
export interface MovedJob {
  readonly id: number
  readonly queue: string
  readonly state: JobState
}

/** What a batch verb says of one item. */
export interface ItemResult {
  readonly id: number
  /** `null` when the item was served. */
  readonly error: OctoflowError | null
}
