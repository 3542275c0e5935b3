import type { Duration, Instant } from '../../lib/time.ts'

/** What happened per minute, kept as roll-ups by the verbs that made it happen. */
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
