import type { CancelTimer } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { SECOND } from '../../lib/time.ts'
import type { LogEventsFollowed } from '../../storage/contract/log-events.ts'
import type { Ports } from '../ports.ts'

/** How many events are read at once: some hundred kilobytes. */
const AT_ONCE = 500

/** How often to look where the database does not tell of other servers' commits. */
const LOOK_EVERY = SECOND

/**
 * Lets any number of readers follow log events from where each of them stands. Nothing is kept for them: a reader who is slow reads
 * later, from the database. Those who stand at the same place, as nearly all do, share what was read.
 */
export class LogEventTail extends Service {
  readonly #ports: Ports
  readonly #waiting = new Set<() => void>()
  #arrivals = 0
  #last: { readonly arrivals: number; readonly after: string; readonly read: Promise<LogEventsFollowed | null> } | null = null
  #unsubscribe: () => void = () => {}
  #cancelTimer: CancelTimer = () => {}

  constructor(ports: Ports) {
    super()
    this.#ports = ports
  }

  protected override onStart(): void {
    this.#unsubscribe = this.#ports.storage.onLogEvents(() => this.#wake())
    if (this.#ports.storage.capabilities.signals === 'none') this.#schedule()
  }

  protected override onStop(): void {
    this.#unsubscribe()
    this.#cancelTimer()
    this.#wake()
  }

  /** A number that changes when there may be more to read: to be asked for before reading. */
  get arrivals(): number {
    return this.#arrivals
  }

  /** The mark after which only what is yet to come is read. */
  end(): Promise<string> {
    return this.#ports.storage.logEvents.end()
  }

  /** What came after a mark, as far as it is read at once; `null` for a mark that the database did not give. */
  read(after: string): Promise<LogEventsFollowed | null> {
    const last = this.#last
    if (last !== null && last.after === after && last.arrivals === this.#arrivals) return last.read
    const read = this.#ports.storage.logEvents.follow({ after, limit: AT_ONCE })
    this.#last = { arrivals: this.#arrivals, after, read }
    // A failure is for those who share it, not for whoever comes later.
    read.catch(() => {
      if (this.#last?.read === read) this.#last = null
    })
    return read
  }

  /** Resolves when there may be more to read than when `arrivals` was asked for, or `signal` is fired. */
  async more(arrivals: number, signal: AbortSignal): Promise<void> {
    if (arrivals !== this.#arrivals || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake)
    await promise
    signal.removeEventListener('abort', wake)
    this.#waiting.delete(wake)
  }

  #wake(): void {
    this.#arrivals++
    this.#last = null
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  #schedule(): void {
    this.#cancelTimer = this.#ports.clock.after(LOOK_EVERY, () => {
      if (this.#waiting.size > 0) this.#wake()
      this.#schedule()
    })
  }
}
