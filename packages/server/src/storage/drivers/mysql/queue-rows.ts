import { QUEUE_COLUMNS as COLUMNS, type QueueRecord as SharedRecord } from '../../sql/queues.ts'

export const QUEUE_COLUMNS = `${COLUMNS}, q.review`

export type QueueRecord = readonly [
  ...SharedRecord,
  /** The first key whose lane has yet to be looked at under new limits; `null` when all have been. */
  review: string | null,
]

export const reviewOf = (record: QueueRecord): string | null => record[13]

/** The minutes that a row of `octoflow_stats` sums over: itself, or the hour. */
export const STATS_SPANS = [1, 60] as const
