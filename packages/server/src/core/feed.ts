import { type Duration, type Instant, MINUTE } from '../lib/time.ts'
import { inScope, type QueueScope } from '../model/access.ts'
import type { JobState } from '../model/job.ts'
import type { Ports } from './ports.ts'

/** A change as told to whoever watches. */
export interface FeedEvent {
  /** `<start of the server>-<number>`, so that an id of an earlier run is known as one. */
  readonly id: string
  readonly kind: 'job'
  readonly at: Instant
  readonly job: { readonly id: number; readonly queue: string; readonly state: JobState }
}

export type FeedListener = (event: FeedEvent) => void

/** Events kept for watchers that come back after a lost connection. */
const KEPT = 10_000

/** Events go on being kept so long after the last watcher left; with nobody watching they cost nothing. */
const KEEP_WITHOUT_WATCHERS: Duration = 5 * MINUTE

/** Live updates. What happened while nobody could see it is in the job's timeline, not here. */
export class Feed {
  readonly #ports: Ports
  readonly #run: string
  readonly #listeners = new Set<FeedListener>()
  #events: FeedEvent[] = []
  #number = 0
  #keepUntil: Instant = 0

  constructor(ports: Ports) {
    this.#ports = ports
    this.#run = ports.clock.now().toString(36)
  }

  publish(jobs: readonly FeedEvent['job'][]): void {
    const at = this.#ports.clock.now()
    if (this.#listeners.size === 0 && at > this.#keepUntil) {
      // Counted all the same, so that a watcher who comes back is told that it missed something.
      this.#number += jobs.length
      if (this.#events.length > 0) this.#events = []
      return
    }
    for (const job of jobs) {
      const event: FeedEvent = { id: `${this.#run}-${++this.#number}`, kind: 'job', at, job }
      this.#events.push(event)
      for (const listener of this.#listeners) listener(event)
    }
    if (this.#events.length > 2 * KEPT) this.#events = this.#events.slice(-KEPT)
  }

  /** The id of the latest event, or of none yet: who comes back with it is told all that came after. */
  get position(): string {
    return `${this.#run}-${this.#number}`
  }

  /** @returns ends the subscription. */
  subscribe(scope: QueueScope, listener: FeedListener): () => void {
    const scoped: FeedListener = (event) => {
      if (inScope(scope, event.job.queue)) listener(event)
    }
    this.#listeners.add(scoped)
    return () => {
      this.#listeners.delete(scoped)
      this.#keepUntil = this.#ports.clock.now() + KEEP_WITHOUT_WATCHERS
    }
  }

  /** What came after an event; `null` if that cannot be told any more. */
  since(id: string, scope: QueueScope): readonly FeedEvent[] | null {
    const [run, number] = id.split('-')
    const seen = Number(number)
    if (run !== this.#run || !Number.isInteger(seen) || seen > this.#number) return null
    const oldestKept = this.#number - this.#events.length
    if (seen < oldestKept) return null
    return this.#events.slice(seen - oldestKept).filter((event) => inScope(scope, event.job.queue))
  }
}
