import { DAY, MINUTE } from '../../lib/time.ts'
import type { LogEvent } from '../../model/log-event.ts'
import { ALL_TIME, SPAN_DAY, SPAN_MINUTE } from './log-event-spans.ts'

/** By how much a row of `octoflow_log_event_counts` changes. */
export type CountChange = readonly [span: number, start: number, type: string, change: number]

/** By day, then by minute, both since the epoch. */
type DayCounts = Map<number, Map<number, number>>

/** How many log events a transaction stores and deletes; the roll-ups are written once, at its end. */
export class LogEventCounts {
  readonly #days = new Map<string, DayCounts>()

  add({ type, at }: Pick<LogEvent, 'type' | 'at'>, change: 1 | -1): void {
    let days = this.#days.get(type)
    if (days === undefined) {
      days = new Map()
      this.#days.set(type, days)
    }
    const day = Math.floor(at / DAY)
    let minutes = days.get(day)
    if (minutes === undefined) {
      minutes = new Map()
      days.set(day, minutes)
    }
    const minute = Math.floor(at / MINUTE)
    minutes.set(minute, (minutes.get(minute) ?? 0) + change)
  }

  *changes(): Iterable<CountChange> {
    for (const [type, days] of this.#days) {
      let sum = 0
      for (const [day, minutes] of days) {
        let sumOfDay = 0
        for (const [minute, change] of minutes) {
          sumOfDay += change
          if (change !== 0) yield [SPAN_MINUTE, minute, type, change]
        }
        sum += sumOfDay
        if (sumOfDay !== 0) yield [SPAN_DAY, day * SPAN_DAY, type, sumOfDay]
      }
      if (sum !== 0) yield [ALL_TIME, 0, type, sum]
    }
  }
}
