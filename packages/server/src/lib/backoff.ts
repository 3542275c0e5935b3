import { type Duration, HOUR, SECOND } from './time.ts'

/** How long to wait before attempt after attempt. */
export interface Backoff {
  /** The wait after the first failure. */
  readonly base: Duration
  /** Each further wait is this many times the one before; 1 keeps them equal. */
  readonly factor: number
  /** No wait is longer, jitter included. */
  readonly max: Duration
  /** The share of the wait that is random, 0 to 1: a wait `w` becomes one of `w·(1−jitter) … w·(1+jitter)`. */
  readonly jitter: number
}

export const DEFAULT_BACKOFF: Backoff = { base: 5 * SECOND, factor: 2, max: HOUR, jitter: 0.2 }

/**
 * The wait after the `failures`-th failure in a row (1 or more).
 * @param random uniform in 0 … 1; passed in so that the same inputs always give the same wait.
 */
export function backoffDelay(backoff: Backoff, failures: number, random: number): Duration {
  // Kept finite, for a base of 0 times infinity would be no number.
  const growth = Math.min(Number.MAX_VALUE, backoff.factor ** (failures - 1))
  const planned = Math.min(backoff.max, backoff.base * growth)
  const jittered = planned * (1 + backoff.jitter * (2 * random - 1))
  return Math.round(Math.min(backoff.max, jittered))
}
