import type { Backoff } from '../../lib/backoff.ts'
import type { Instant } from '../../lib/time.ts'
import type { Queue, QueueSettings } from '../../model/queue.ts'
import type { RateLimit } from '../../model/rate-limit.ts'
import type { QueueChange } from './queue-change.ts'
import { Stage } from './stages.ts'

export const QUEUE_COLUMNS = `q.id, q.name, q.created_at, q.version, q.paused, q.concurrency, q.key_concurrency, q.rate_limit,
  q.key_rate_limit, q.max_attempts, q.backoff, q.retention, q.handler`

export type QueueRecord = readonly [
  id: number,
  name: string,
  createdAt: Instant,
  version: number,
  /** Not every database knows truth values; 0 and 1 stand for them there. */
  paused: boolean | number,
  concurrency: number | null,
  keyConcurrency: number,
  rateLimit: string | null,
  keyRateLimit: string | null,
  maxAttempts: number | null,
  backoff: string | null,
  retention: number | null,
  handler: string | null,
]

/** With whatever other columns a database has. */
export type SomeQueueRecord = readonly [...QueueRecord, ...unknown[]]

export const settingsOf = (record: SomeQueueRecord): QueueSettings => ({
  paused: Boolean(record[4]),
  concurrency: record[5],
  keyConcurrency: record[6],
  rateLimit: parse<RateLimit>(record[7]),
  keyRateLimit: parse<RateLimit>(record[8]),
  maxAttempts: record[9],
  backoff: parse<Backoff>(record[10]),
  retention: record[11],
  handler: record[12],
})

const parse = <T>(json: string | null): T | null => (json === null ? null : (JSON.parse(json) as T))

/** The columns of a queue's settings, in the order in which they are written. */
export function settingsValues(settings: QueueSettings): (string | number | boolean | null)[] {
  const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value))
  return [
    settings.paused,
    settings.concurrency,
    settings.keyConcurrency,
    json(settings.rateLimit),
    json(settings.keyRateLimit),
    settings.maxAttempts,
    json(settings.backoff),
    settings.retention,
    settings.handler,
  ]
}

/** @param counts by stage. */
export function toQueue(
  queue: Pick<Queue, 'name' | 'createdAt' | 'version'>,
  settings: QueueSettings,
  counts: readonly number[],
): Queue {
  const count = (stage: Stage): number => counts[stage]!
  const [ready, scheduled, held] = [count(Stage.ready), count(Stage.scheduled), count(Stage.held)]
  return {
    ...queue,
    ...settings,
    counts: {
      ready,
      scheduled,
      held,
      pending: ready + scheduled + held,
      running: count(Stage.running),
      completed: count(Stage.completed),
      cancelled: count(Stage.cancelled),
      dead: count(Stage.dead),
    },
  }
}

/** Notes that a queue was configured: whatever changed may let jobs start; the workers that wait find out by trying. */
export function noteConfigured(change: QueueChange, { paused, counts }: Queue): void {
  if (paused) return
  change.becameReady += counts.ready + counts.held
  change.nextTimeMoved = counts.scheduled > 0
}
