import { setImmediate as turn } from 'node:timers/promises'
import type { CancelTimer, Clock } from '../../../src/lib/clock.ts'
import type { Duration, Instant } from '../../../src/lib/time.ts'
import { NOW } from '../../conformance/harness.ts'

interface Timer {
  at: Instant
  readonly callback: () => void
}

/** A clock that stands until a test moves it. */
export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>()
  #now = NOW
  #stepped: Duration = 0

  now(): Instant {
    return this.#now
  }

  elapsed(): Duration {
    return this.#now - this.#stepped
  }

  after(delay: Duration, callback: () => void): CancelTimer {
    const timer = { at: this.#now + Math.max(0, delay), callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Steps the time of day; timers run on for as long as they were to. */
  step(by: Duration): void {
    this.#now += by
    this.#stepped += by
    for (const timer of this.#timers) timer.at += by
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** Moves on, firing what falls due in order; what follows from one firing is done before the next. */
  async advance(by: Duration): Promise<void> {
    const end = this.#now + by
    await idle()
    for (let first = this.#first(); first !== undefined && first.at <= end; first = this.#first()) {
      this.#timers.delete(first)
      this.#now = Math.max(this.#now, first.at)
      first.callback()
      await idle()
    }
    this.#now = end
    await idle()
  }

  #first(): Timer | undefined {
    return [...this.#timers].sort((a, b) => a.at - b.at)[0]
  }
}

/** Lets everything happen that waits for nothing but its turn: a commit takes one or two. */
export async function idle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn()
}
