import { DAY, type Duration, type Instant } from '../../lib/time.ts'

/** For how long at least what happened can be told by the minute, and by the hour. */
export const MINUTES_KEPT: Duration = 31 * DAY
export const HOURS_KEPT: Duration = 400 * DAY

/**
 * What happened per minute and per hour, kept as roll-ups by the verbs that made it happen. Whole hours of a span are read as
 * such wherever the step allows, so that no span makes a driver sum the minutes of a year; of what is older than
 * `MINUTES_KEPT`, whole hours are told and nothing else.
 */
export interface StatsStore {
  /**
   * Sums over steps of time, oldest first; steps in which nothing happened are left out.
   * @param params.step a whole number of minutes.
   */
  series(params: {
    readonly queues: readonly string[] | null
    readonly from: Instant
    readonly to: Instant
    readonly step: Duration
  }): Promise<readonly StatsPoint[]>

  /** The same sums, by queue, over the whole time. */
  totals(params: {
    readonly queues: readonly string[] | null
    readonly from: Instant
    readonly to: Instant
  }): Promise<ReadonlyMap<string, StatsSums>>
}

export interface StatsSums {
  readonly submitted: number
  readonly started: number
  readonly completed: number
  /** Attempts that failed, whether or not another followed. */
  readonly failed: number
  readonly dead: number
  readonly cancelled: number
  /** Leases that ran out. */
  readonly expired: number
  /** From free to start until started, summed over all starts. */
  readonly waited: Duration
  /** From started until reported, summed over all finished attempts. */
  readonly ran: Duration
  /** Attempts that `ran` sums over. */
  readonly finished: number
}

export interface StatsPoint extends StatsSums {
  readonly at: Instant
}
