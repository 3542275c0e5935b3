/** Stops a timer; harmless once it has fired. */
export type CancelTimer = () => void

/** Time as the worker counts it: milliseconds on a clock that no one can set, so that leases end when they should. */
export interface Clock {
  now(): number
  /** Calls `callback` once, `delay` milliseconds from now. */
  after(delay: number, callback: () => void): CancelTimer
}

/** Node cuts longer timers to one millisecond. */
const LONGEST_TIMER = 2 ** 31 - 1

export class SystemClock implements Clock {
  now(): number {
    return performance.now()
  }

  after(delay: number, callback: () => void): CancelTimer {
    let left = Math.max(0, Math.ceil(delay))
    let timer: NodeJS.Timeout
    const arm = (): void => {
      const part = Math.min(left, LONGEST_TIMER)
      left -= part
      timer = setTimeout(left > 0 ? arm : callback, part)
    }
    arm()
    return () => clearTimeout(timer)
  }
}
