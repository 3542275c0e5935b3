import type { CancelTimer } from '../../lib/clock.ts'
import type { Duration } from '../../lib/time.ts'
import type { Ports } from '../ports.ts'

/** Something done again and again from start to stop: at once while there is more to do, else after a pause. */
export class Chore {
  readonly #ports: Ports
  readonly #name: string
  readonly #every: Duration
  /** @returns whether there is more to do at once. */
  readonly #batch: () => Promise<boolean>
  #active = false
  #round: Promise<void> = Promise.resolve()
  #cancelTimer: CancelTimer = () => {}

  constructor(ports: Ports, name: string, every: Duration, batch: () => Promise<boolean>) {
    this.#ports = ports
    this.#name = name
    this.#every = every
    this.#batch = batch
  }

  start(): void {
    if (this.#active) return
    this.#active = true
    this.#begin()
  }

  /** Ends the pause; a round under way may have looked too early, so another one follows it. */
  now(): void {
    if (this.#active) this.#begin()
  }

  async stop(): Promise<void> {
    this.#active = false
    this.#cancelTimer()
    await this.#round
  }

  /** One round at a time: one that was under way when the chore was stopped may still be when it is started again. */
  #begin(): void {
    this.#cancelTimer()
    this.#round = this.#round.then(() => this.#doRound())
  }

  async #doRound(): Promise<void> {
    const { logger, outage } = this.#ports
    try {
      while (this.#active && (await this.#batch()));
    } catch (error) {
      if (!outage.explains(error)) logger.error({ err: error, chore: this.#name }, 'maintenance failed; it is tried again')
    }
    if (!this.#active) return
    this.#cancelTimer()
    this.#cancelTimer = this.#ports.clock.after(this.#every, () => this.#begin())
  }
}
