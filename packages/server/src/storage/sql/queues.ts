import type { Queue, QueueSettings } from '../../model/queue.ts'
import type { QueueChange } from './queue-change.ts'
import { Stage } from './stages.ts'

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
