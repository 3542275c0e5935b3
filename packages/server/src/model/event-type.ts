import type { Duration } from '../lib/time.ts'
import type { LogEventField } from './log-event.ts'

/** What is wrong with an event of which the rest is right: with one of its fields, or otherwise. */
export type EventMisfit = LogEventField | 'event'

/** A type of log events: what such an event has to be like, and how long it is kept. */
export interface EventType {
  readonly name: string
  readonly description: string
  /** The JSON Schema of `event`. */
  readonly schema: Readonly<Record<string, unknown>>
  /** An event that fits, for the documentation. */
  readonly example: unknown
  /** `null` for ever; `undefined` where the general retention goes. */
  readonly retention: Duration | null | undefined
  /** @returns `null` for an event that fits. */
  misfit(event: unknown): EventMisfit | null
}

/** The types that there are, by name. */
export type EventTypes = ReadonlyMap<string, EventType>
