import type { Duration, Instant } from '../lib/time.ts'

/** At most `limit` starts within any `period`. */
export interface RateLimit {
  readonly limit: number
  readonly period: Duration
}

/** Starts counted in the slice of time that begins at `start`. */
export interface UsedSlice {
  readonly start: Instant
  readonly used: number
}

/**
 * A sliding window, counted in slices of a twentieth of the period. A slice counts in full until its very end has left
 * the window, so the limit holds in every window of the period, bursts included; the price is that a start waits up to
 * one slice (5% of the period) longer than an exact log of all starts would have it wait.
 *
 * Slices that lie more than a period ahead were counted before the clock was stepped back. They are left out, or nothing
 * would start until the clock has caught up; those of clocks that differ by less still count.
 */
const SLICES = 20

export const sliceLength = (limit: RateLimit): Duration => Math.max(1, Math.ceil(limit.period / SLICES))

export const sliceStart = (limit: RateLimit, now: Instant): Instant => now - (now % sliceLength(limit))

/** Slices that begin before this no longer count. */
export const windowStart = (limit: RateLimit, now: Instant): Instant =>
  sliceStart(limit, now - limit.period - sliceLength(limit) + 1)

/** How many starts are free now, and, when none is, when the next one will be. `slices` come oldest first. */
export function availability(
  limit: RateLimit,
  slices: readonly UsedSlice[],
  now: Instant,
): { readonly free: number; readonly nextAt: Instant | null } {
  const counted = slices.filter(({ start }) => start + sliceLength(limit) + limit.period > now && start <= now + limit.period)
  let used = counted.reduce((sum, slice) => sum + slice.used, 0)
  const free = Math.max(0, limit.limit - used)
  if (free > 0) return { free, nextAt: null }
  for (const slice of counted) {
    used -= slice.used
    if (used < limit.limit) return { free, nextAt: slice.start + sliceLength(limit) + limit.period }
  }
  return { free, nextAt: null }
}
