import type { Instant } from '../../lib/time.ts'
import type { EventKind, EventLevel, JobEvent } from '../../model/event.ts'
import type { Page, PageRequest } from './page.ts'

/** What was said about jobs. */
export interface EventStore {
  /** @returns the event's id for each item, or `null` where there is no such job. */
  append(params: {
    readonly now: Instant
    readonly items: readonly { readonly jobId: number; readonly event: NewEvent }[]
  }): Promise<readonly (number | null)[]>

  list(params: { readonly jobId: number; readonly page: PageRequest }): Promise<Page<JobEvent>>
}

export interface NewEvent {
  readonly kind: EventKind
  readonly level: EventLevel
  readonly message: string
  /** Any JSON text. */
  readonly data: string | null
  /** When it happened, where the worker says so; else the verb's `now`. */
  readonly at: Instant | null
}
