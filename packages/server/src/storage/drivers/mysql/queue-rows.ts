import type { Backoff } from '../../../lib/backoff.ts'
import type { Instant } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import type { RateLimit } from '../../../model/rate-limit.ts'

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

/** The minutes that a row of `octoflow_stats` sums over: itself, or the hour. */
export const STATS_SPANS = [1, 60] as const
