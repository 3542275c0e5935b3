import type { Instant } from '../../lib/time.ts'
import type { QueueSettings } from '../../model/queue.ts'
import type { QueueChange } from './queue-change.ts'
import type { SharedRateUsage } from './rate-usage.ts'
import type { LaneCounts } from './room.ts'
import type { SettlingTransaction } from './settling.ts'

interface KeyLane {
  readonly queueId: number
  readonly key: string
}

/** What a transaction offers to verbs that steer jobs, and tell why they wait. */
export interface JobTransaction extends SettlingTransaction {
  readonly jobs: SettlingTransaction['jobs'] & {
    lock(ids: readonly number[]): Promise<void>
    /** Deletes requests with their jobs. @returns those that there were. */
    delete(ids: readonly number[]): Promise<ReadonlySet<number>>
  }
  readonly lanes: {
    readonly rates: SharedRateUsage
    touch(queueId: number, key: string): unknown
    balance(now: Instant): Promise<void>
    get(queueId: number, key: string): KeyLane
    peek(lanes: readonly KeyLane[]): Promise<ReadonlyMap<KeyLane, LaneCounts>>
  }
  change(queueId: number): QueueChange
  /** The number of each queue named; those that do not exist are made. */
  makeQueues(names: readonly string[], now: Instant): Promise<ReadonlyMap<string, number>>
  names(queueIds: readonly number[]): Promise<ReadonlyMap<number, string>>
  settings(queueIds: readonly number[]): Promise<ReadonlyMap<number, QueueSettings>>
}
