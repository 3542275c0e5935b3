import { Stage } from './stages.ts'

/** A queue, and for how many callers it is worth claiming from it. */
export interface Ready {
  readonly queue: string
  readonly count: number
}

/** What a transaction does to a queue. */
export class QueueChange {
  readonly id: number
  /** By stage: how many jobs more, or fewer. */
  readonly counts = [0, 0, 0, 0, 0, 0, 0]
  becameReady = 0
  /** How many jobs stopped running. */
  placesFreed = 0
  /** Whether the time at which the next job may start was set, and so may be nearer than claimants were told. */
  nextTimeMoved = false
  /** The roll-up that was added to last. */
  stats: StatsRow | null = null

  constructor(id: number) {
    this.id = id
  }

  get countsChanged(): boolean {
    return this.counts.some((count) => count !== 0)
  }

  /** Counts jobs that change their stage; `null` stands for not being there. */
  count(from: Stage | null, to: Stage | null, jobs = 1): void {
    if (to === Stage.scheduled) this.nextTimeMoved = true
    if (from === to) return
    if (from !== null) this.counts[from]! -= jobs
    if (to !== null) this.counts[to]! += jobs
    if (to === Stage.ready) this.becameReady += jobs
    if (from === Stage.running) this.placesFreed += jobs
  }

  /** How many claims would be answered differently now than before the transaction. @param limited in its concurrency. */
  worthClaims(limited: boolean): number {
    return Math.max(this.becameReady, limited ? this.placesFreed : 0) + (this.nextTimeMoved ? 1 : 0)
  }
}

/** What is added to one row of `octoflow_stats`. */
export class StatsRow {
  readonly queueId: number
  readonly minute: number
  submitted = 0
  started = 0
  completed = 0
  failed = 0
  dead = 0
  cancelled = 0
  expired = 0
  waited = 0
  ran = 0
  finished = 0

  constructor(queueId: number, minute: number) {
    this.queueId = queueId
    this.minute = minute
  }
}

export const COUNT_COLUMNS = ['ready', 'scheduled', 'held', 'running', 'completed', 'cancelled', 'dead'] as const

export const STATS_COLUMNS = [
  'submitted',
  'started',
  'completed',
  'failed',
  'dead',
  'cancelled',
  'expired',
  'waited',
  'ran',
  'finished',
] as const
