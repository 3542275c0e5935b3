import type { LogEventField, LogEventFields } from './log-event.ts'

/** Starts a job for each log event that matches. */
export interface EventRule {
  /** By this name it is known how far the rule has got. */
  readonly name: string
  /** `null` for any. */
  readonly type: string | null
  readonly fields: LogEventFields
  readonly queue: string
  /** Jobs of events with the same value in this field run in the order in which the events arrived; `null`: in no order. */
  readonly concurrencyKey: LogEventField | null
  readonly priority: number | null
  readonly maxAttempts: number | null
}
