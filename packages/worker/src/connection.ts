import type { CancelTimer, Clock } from './clock.ts'
import type { Logger } from './logger.ts'
import { isTransportError } from './transport.ts'
import { messageOf } from './worker-error.ts'

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 10_000

/** No server is left alone for longer, whatever its `Retry-After` says. */
const LONGEST_RETRY_AFTER_MS = 60_000

/** The wait after the `failures`-th failure in a row, half of it random so that a fleet of workers spreads out. */
export function retryDelay(failures: number, random: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 20)) * (0.5 + random / 2)
}

/**
 * Whether the server can be reached, as far as the calls to it tell. An outage begins when a call of any kind fails and
 * is over when all kinds that failed succeed again; both are logged once.
 */
export class Connection {
  readonly clock: Clock
  readonly random: () => number
  readonly #logger: Logger
  readonly #failing = new Set<Channel>()
  readonly #channels = new Set<Channel>()
  #downSince = 0

  constructor(clock: Clock, random: () => number, logger: Logger) {
    this.clock = clock
    this.random = random
    this.#logger = logger
  }

  /** @param activity what the channel's calls do, for the log: `claiming jobs`. */
  open(activity: string): Channel {
    const channel = new Channel(this, activity)
    this.#channels.add(channel)
    return channel
  }

  /** For channels only. */
  noteFailure(channel: Channel, error: unknown): void {
    const first = this.#failing.size === 0
    this.#failing.add(channel)
    if (!first) return
    this.#downSince = this.clock.now()
    this.#logger.warn('The server cannot serve this worker; trying until it can.', {
      during: channel.activity,
      error: messageOf(error),
    })
  }

  /** For channels only. The others need not wait out their delay: what failed them is likely over. */
  noteSuccess(channel: Channel): void {
    if (!this.#failing.delete(channel)) return
    for (const other of this.#channels) other.serverIsBack()
    if (this.#failing.size > 0) return
    const seconds = Math.round((this.clock.now() - this.#downSince) / 100) / 10
    this.#logger.info('The server serves this worker again.', { afterSeconds: seconds })
  }

  /** For channels only. */
  noteWithdrawal(channel: Channel): void {
    this.#failing.delete(channel)
  }

  /** For channels only. */
  forget(channel: Channel): void {
    this.#channels.delete(channel)
    this.#failing.delete(channel)
  }
}

/** One kind of call: counts its failures in a row and waits between them. */
export class Channel {
  readonly activity: string
  readonly #connection: Connection
  #failures = 0
  #pause: { readonly end: () => void; readonly firm: boolean } | null = null

  constructor(connection: Connection, activity: string) {
    this.#connection = connection
    this.activity = activity
  }

  get failing(): boolean {
    return this.#failures > 0
  }

  succeeded(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    this.#connection.noteSuccess(this)
  }

  /** @returns after how many milliseconds the call may be tried again. */
  failed(error: unknown): number {
    this.#failures++
    this.#connection.noteFailure(this, error)
    const delay = retryDelay(this.#failures, this.#connection.random())
    return Math.max(delay, Math.min(retryAfter(error) ?? 0, LONGEST_RETRY_AFTER_MS))
  }

  /** There is nothing to call for any more: whether it would fail again is not known. */
  withdraw(): void {
    this.#failures = 0
    this.#connection.noteWithdrawal(this)
  }

  /** Waits as long as `failed()` says, or until another channel finds the server back or `hurry()` is called. */
  async backOff(error: unknown): Promise<void> {
    await this.pause(this.failed(error), retryAfter(error) !== null)
  }

  /** @param firm whether the wait is one that the server asked for. */
  pause(delay: number, firm = false): Promise<void> {
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => undefined
      const end = (): void => {
        cancel()
        this.#pause = null
        resolve()
      }
      cancel = this.#connection.clock.after(delay, end)
      this.#pause = { end, firm }
    })
  }

  serverIsBack(): void {
    if (this.#pause?.firm === false) this.#pause.end()
  }

  /** Ends the wait, if there is one. */
  hurry(): void {
    this.#pause?.end()
  }

  /** No more calls are made; an outage this channel was in is not its business any more. */
  close(): void {
    this.hurry()
    this.#connection.forget(this)
  }
}

const retryAfter = (error: unknown): number | null => (isTransportError(error) ? error.retryAfterMs : null)
