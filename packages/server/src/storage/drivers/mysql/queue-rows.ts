import type { Backoff } from '../../../lib/backoff.ts'
import type { Instant } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import type { RateLimit } from '../../../model/rate-limit.ts'
import { Stage } from '../../sql/stages.ts'

export const QUEUE_COLUMNS = `q.id, q.name, q.created_at, q.version, q.paused, q.concurrency, q.key_concurrency, q.rate_limit,
  q.key_rate_limit, q.max_attempts, q.backoff, q.retention, q.handler, q.review`

export type QueueRecord = readonly [
  id: number,
  name: string,
  createdAt: Instant,
  version: number,
  paused: number,
  concurrency: number | null,
  keyConcurrency: number,
  rateLimit: string | null,
  keyRateLimit: string | null,
  maxAttempts: number | null,
  backoff: string | null,
  retention: number | null,
  handler: string | null,
  /** The first key whose lane has yet to be looked at under new limits; `null` when all have been. */
  review: string | null,
]

export const settingsOf = (record: QueueRecord): QueueSettings => ({
  paused: record[4] === 1,
  concurrency: record[5],
  keyConcurrency: record[6],
  rateLimit: parse<RateLimit>(record[7]),
  keyRateLimit: parse<RateLimit>(record[8]),
  maxAttempts: record[9],
  backoff: parse<Backoff>(record[10]),
  retention: record[11],
  handler: record[12],
})

export const reviewOf = (record: QueueRecord): string | null => record[13]

const parse = <T>(json: string | null): T | null => (json === null ? null : (JSON.parse(json) as T))

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

  /** Counts a job that changes its stage; `null` stands for not being there. */
  count(from: Stage | null, to: Stage | null): void {
    if (to === Stage.scheduled) this.nextTimeMoved = true
    if (from === to) return
    if (from !== null) this.counts[from]!--
    if (to !== null) this.counts[to]!++
    if (to === Stage.ready) this.becameReady++
    if (from === Stage.running) this.placesFreed++
  }

  /** How many claims would be answered differently now than before the transaction. @param limited in its concurrency. */
  worthClaims(limited: boolean): number {
    return Math.max(this.becameReady, limited ? this.placesFreed : 0) + (this.nextTimeMoved ? 1 : 0)
  }
}

/** What happened in one minute: what is added to a row of `octoflow_stats` for each span. */
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

/** The minutes that a row of `octoflow_stats` sums over: itself, or the hour. */
export const STATS_SPANS = [1, 60] as const

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
