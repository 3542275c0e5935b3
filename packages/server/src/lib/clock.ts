import { type Duration, type Instant, MILLISECOND } from './time.ts'

/** Stops a timer; harmless once it has fired. */
export type CancelTimer = () => void

/**
 * Where the engine gets the time from. Nothing below `compose.ts` reads the system's clock itself, so that tests can
 * own the time.
 */
export interface Clock {
  now(): Instant
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
  readonly #timeOfDay: () => number

  /** @param timeOfDay milliseconds since the epoch, as the operating system tells them. */
  constructor(timeOfDay: () => number = Date.now) {
    this.#timeOfDay = timeOfDay
    this.adopt()
  }

  now(): Instant {
    return Math.round((performance.now() + this.#offset) * MILLISECOND)
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

  /** How far the time of day has moved away from this clock; positive when the system's clock is ahead. */
  drift(): Duration {
    return Math.round((this.#timeOfDay() - performance.now() - this.#offset) * MILLISECOND)
  }

  /** Follows the time of day again. @returns goes back to the time of before. */
  adopt(): () => void {
    const before = this.#offset
    this.#offset = this.#timeOfDay() - performance.now()
    return () => {
      this.#offset = before
    }
  }
}
