import type { Instant } from '../lib/time.ts'

/** Something worth remembering about a job that its states do not tell. */
export interface JobEvent {
  readonly id: number
  readonly jobId: number
  readonly at: Instant
  readonly kind: EventKind
  readonly level: EventLevel
  readonly message: string
  /** Any JSON text. */
  readonly data: string | null
}

/** `event`: a message of the worker's; `log`: a line of its log; `system`: what Octoflow or an operator did. */
export const EventKind = { event: 'event', log: 'log', system: 'system' } as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

export const EventLevel = { debug: 'debug', info: 'info', warn: 'warn', error: 'error' } as const
export type EventLevel = (typeof EventLevel)[keyof typeof EventLevel]
