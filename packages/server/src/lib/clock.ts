import { type Duration, type Instant, MILLISECOND } from './time.ts'

/** Stops a timer; harmless once it has fired. */
export type CancelTimer = () => void

/**
 * Where the engine gets the time from. Nothing below `compose.ts` reads the system's clock itself, so that tests can
 * own the time.
 */
export interface Clock {
  now(): Instant
  /** Since some moment in the past: it goes on steadily, whatever happens to the time of day. */
  elapsed(): Duration
  /** Calls `callback` once, `delay` from now, whatever happens to the time of day meanwhile. */
  after(delay: Duration, callback: () => void): CancelTimer
}

/** In milliseconds, some 25 days; a longer one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * The system's time of day, carried forward by the monotonic clock: an operator or NTP stepping the time of day
 * changes nothing here until `adopt()` is called, so a step cannot expire leases behind the engine's back.
 */
export class SystemClock implements Clock {
  #offset = 0
  #skew: Duration = 0
  readonly #timeOfDay: () => number

  /** @param timeOfDay milliseconds since the epoch, as the operating system tells them. */
  constructor(timeOfDay: () => number = Date.now) {
    this.#timeOfDay = timeOfDay
    this.adopt()
  }

  now(): Instant {
    return Math.round((performance.now() + this.#offset) * MILLISECOND)
  }

  elapsed(): Duration {
    return Math.round(performance.now() * MILLISECOND)
  }

  after(delay: Duration, callback: () => void): CancelTimer {
    let left = Math.max(0, Math.ceil(delay / MILLISECOND))
    let timer: NodeJS.Timeout
    const wait = (): void => {
      const now = Math.min(left, LONGEST_TIMER)
      left -= now
      timer = setTimeout(left > 0 ? wait : callback, now)
    }
    wait()
    return () => clearTimeout(timer)
  }

  /** How far the time to go by is ahead of the system's time of day; 0 unless somebody else's clock is followed. */
  get skew(): Duration {
    return this.#skew
  }

  set skew(skew: Duration) {
    this.#skew = skew
  }

  /** How far another clock is ahead of the system's, having been read half-way through the time that the question took. */
  skewOf(read: Instant, took: Duration): Duration {
    return Math.round(read - (this.#timeOfDay() * MILLISECOND - took / 2))
  }

  /** How far the time to go by has moved away from this clock; positive when that is ahead. */
  drift(): Duration {
    return Math.round((this.#timeToGoBy() - performance.now() - this.#offset) * MILLISECOND)
  }

  /** Follows the time to go by again. @returns goes back to the time of before. */
  adopt(): () => void {
    const before = this.#offset
    this.#offset = this.#timeToGoBy() - performance.now()
    return () => {
      this.#offset = before
    }
  }

  #timeToGoBy(): number {
    return this.#timeOfDay() + this.#skew / MILLISECOND
  }
}
