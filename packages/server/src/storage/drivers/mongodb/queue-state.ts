import type { Instant } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import type { UsedSlice } from '../../../model/rate-limit.ts'
import { Stage } from '../../sql/stages.ts'
import type { QueueDocument } from './documents.ts'
import { noSums, type Sums } from './sums.ts'
import type { Fields } from './table.ts'

/** A queue as one transaction sees it, with the counts as they will be when it commits. */
export class QueueState {
  readonly name: string
  readonly createdAt: Instant
  version: number
  settings: QueueSettings
  /** By stage. */
  readonly counts: number[]
  starts: readonly UsedSlice[]
  dueAt: Instant | null
  wakeAt: Instant | null
  changed = false
  becameReady = 0
  /** How many jobs stopped running. */
  placesFreed = 0
  /** Whether the time at which the next job may start was set, and so may be nearer than claimants were told. */
  nextTimeMoved = false
  /** Whether what is due has been made ready. */
  promoted = false
  /** What is added to the roll-ups, by minute. */
  readonly sums = new Map<number, Sums>()

  constructor(document: QueueDocument) {
    const { _id, createdAt, version, settings, counts, starts, dueAt, wakeAt } = document
    this.name = _id
    this.createdAt = createdAt
    this.version = version
    this.settings = settings
    this.counts = [...counts]
    this.starts = starts ?? []
    this.dueAt = dueAt ?? null
    this.wakeAt = wakeAt ?? null
  }

  /** How many claims would be answered differently now than before the transaction. */
  get worthClaims(): number {
    const limited = this.settings.concurrency !== null
    const places = limited ? Math.min(this.placesFreed, this.counts[Stage.ready]!) : 0
    return Math.max(this.becameReady, places) + (this.nextTimeMoved ? 1 : 0)
  }

  /** The roll-up of a minute; the caller adds to it. */
  sumsOf(minute: number): Sums {
    let sums = this.sums.get(minute)
    if (sums === undefined) {
      sums = noSums()
      this.sums.set(minute, sums)
    }
    return sums
  }

  /** Notes when a job becomes due, or a lane is to be looked at. */
  expect(what: 'dueAt' | 'wakeAt', at: Instant): void {
    const known = this[what]
    if (known === null || at < known) this.know(what, at)
  }

  /** Notes when the first job becomes due, or the first lane is to be looked at. */
  know(what: 'dueAt' | 'wakeAt', at: Instant | null): void {
    if (this[what] === at) return
    this[what] = at
    this.changed = true
  }

  /** All that may have changed. */
  get fields(): Fields<QueueDocument> {
    const { version, settings, counts, starts, dueAt, wakeAt } = this
    return { version, settings, counts: [...counts], starts, dueAt, wakeAt }
  }
}
