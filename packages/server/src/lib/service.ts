/**
 * The one contract of everything that lives longer than a call.
 *
 * `start()` and `stop()` may each be called any number of times, in any order and concurrently: calls are worked off
 * one after the other, and one that asks for the state already reached does nothing. A failed start leaves the service
 * stopped and may be repeated.
 */
export abstract class Service {
  #running = false
  #last: Promise<unknown> = Promise.resolve()

  get running(): boolean {
    return this.#running
  }

  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#running) return
      try {
        await this.onStart()
        this.#running = true
      } catch (error) {
        // What goes wrong with the cleaning up would only hide the error that explains it.
        await this.#cleanUp().catch(() => undefined)
        throw error
      }
    })
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#running) return
      this.#running = false
      await this.onStop()
    })
  }

  /** Acquires what the service needs. What it acquired before throwing is given back by `onStop()`. */
  protected abstract onStart(): Promise<void> | void

  /** Gives everything back; must cope with a start that got only half way. */
  protected abstract onStop(): Promise<void> | void

  async #cleanUp(): Promise<void> {
    await this.onStop()
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(step)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
