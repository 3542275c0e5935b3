import { setImmediate as turn } from 'node:timers/promises'
import type { CancelTimer, Clock } from '../../src/clock.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/** A clock that stands until a test moves it. */
export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>()
  #now = 0

  now(): number {
    return this.#now
  }

  after(delay: number, callback: () => void): CancelTimer {
    const timer = { at: this.#now + Math.max(0, delay), callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  get timers(): number {
    return this.#timers.size
  }

  /** How long until the next timer fires; `null` if none is set. */
  get next(): number | null {
    const [first] = this.#inOrder()
    return first === undefined ? null : first.at - this.#now
  }

  /** Moves on, firing what falls due in order; everything that follows from one firing is done before the next. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    await turn()
    for (let first = this.#inOrder()[0]; first !== undefined && first.at <= end; first = this.#inOrder()[0]) {
      this.#timers.delete(first)
      this.#now = Math.max(this.#now, first.at)
      first.callback()
      await turn()
    }
    this.#now = end
  }

  #inOrder(): Timer[] {
    return [...this.#timers].sort((a, b) => a.at - b.at)
  }
}
