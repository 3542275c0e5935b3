import type { ReadyListener } from '../../contract/storage.ts'
import type { Ready } from '../../sql/queue-change.ts'

/**
 * Tells which queues are worth claiming from again, and that log events arrived, after commits of this server: the database tells
 * nobody of those of others.
 */
export class Signals {
  readonly #listeners = new Set<ReadyListener>()
  readonly #logEventListeners = new Set<() => void>()

  subscribe(listener: ReadyListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  subscribeToLogEvents(listener: () => void): () => void {
    this.#logEventListeners.add(listener)
    return () => this.#logEventListeners.delete(listener)
  }

  raise(ready: readonly Ready[], logEvents: boolean): void {
    if (logEvents) for (const listener of this.#logEventListeners) listener()
    for (const { queue, count } of ready) for (const listener of this.#listeners) listener(queue, count)
  }
}
