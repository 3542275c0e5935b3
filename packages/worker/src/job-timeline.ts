import type { EventInput } from '@octoflow/protocol'
import type { Channel } from './connection.ts'
import type { Logger, LogLevel } from './logger.ts'
import { isTransportError, type Transport } from './transport.ts'
import { messageOf } from './worker-error.ts'

/** As many as the server takes in one report, less one for the closing event and one for a note. */
const MOST_IN_REPORT = 998

/** Log lines do not wait for a heartbeat once there are so many. */
const FLUSH_AT = 500

/** So many lines are kept while the server cannot be reached. */
const MOST_WAITING = 10_000

interface Entry {
  readonly event: EventInput
  /** Tells the handler that its event is stored. */
  readonly stored: () => void
}

const NOBODY_WAITS = (): void => undefined

export interface TimelineContext {
  readonly id: number
  readonly workerId: string
  readonly transport: Transport
  readonly channel: Channel
  readonly logger: Logger
}

/**
 * What one job's handler says, on its way to the server: one queue, so that the order is kept, and one call at a time.
 * What is left when the handler ends goes with the report.
 */
export class JobTimeline {
  readonly #context: TimelineContext
  readonly #hangUp = new AbortController()
  #waiting: Entry[] = []
  /** How many of those that wait are to be sent now. */
  #due = 0
  #largestCall = FLUSH_AT
  #dropped = 0
  #busy = false
  #sending: Promise<void> = Promise.resolve()
  #closed = false
  #warned = false

  constructor(context: TimelineContext) {
    this.#context = context
  }

  event(message: string, data: unknown): Promise<void> {
    if (this.#refuses('event', message)) return Promise.resolve()
    return new Promise((stored) => {
      this.#waiting.push({ event: { message, ...(data === undefined ? {} : { data }) }, stored })
      this.flush()
    })
  }

  log(level: LogLevel, message: string, data: unknown): void {
    if (this.#refuses('log line', message)) return
    if (this.#waiting.length >= MOST_WAITING) {
      this.#dropped++
      return
    }
    const at = new Date().toISOString()
    const event: EventInput = { message, kind: 'log', level, at, ...(data === undefined ? {} : { data }) }
    this.#waiting.push({ event, stored: NOBODY_WAITS })
    if (this.#waiting.length >= FLUSH_AT) this.flush()
  }

  /** Sends what waits. */
  flush(): void {
    this.#due = this.#waiting.length
    if (!this.#busy && this.#due > 0 && !this.#closed) this.#sending = this.#sendAll()
  }

  /**
   * To be called when the handler has ended.
   * @returns what was not sent, for the report.
   */
  async close(): Promise<EventInput[]> {
    this.#closed = true
    this.#context.channel.hurry()
    await this.#sending
    this.#due = this.#waiting.length
    while (this.#waiting.length > MOST_IN_REPORT && (await this.#send()) === null);
    const surplus = this.#waiting.splice(0, Math.max(0, this.#waiting.length - MOST_IN_REPORT))
    for (const { stored } of surplus) stored()
    this.#dropped += surplus.length
    const left = this.#waiting.map(({ event }) => event)
    if (this.#dropped > 0) left.unshift({ kind: 'log', level: 'warn', message: lost(this.#dropped) })
    this.#end()
    return left
  }

  /** Waits for nothing any more: the job is given up. */
  abandon(): void {
    this.#hangUp.abort()
    this.#end()
  }

  #end(): void {
    this.#closed = true
    for (const { stored } of this.#waiting) stored()
    this.#waiting = []
    this.#context.channel.close()
  }

  async #sendAll(): Promise<void> {
    this.#busy = true
    while (this.#due > 0 && !this.#closed) {
      const error = await this.#send()
      if (error !== null && !this.#closed) await this.#context.channel.backOff(error)
    }
    this.#busy = false
  }

  /** @returns why the first that are due could not be sent for now, or `null` if there is no need to pause. */
  async #send(): Promise<unknown> {
    const { id, workerId, transport, channel, logger } = this.#context
    const entries = this.#waiting.slice(0, Math.min(this.#due, this.#largestCall))
    try {
      await transport.event({ id, workerId, events: entries.map(({ event }) => event), signal: this.#hangUp.signal })
      channel.succeeded()
    } catch (error) {
      if (!isTransportError(error, 'refused', 'rejected')) return error ?? new Error('a call threw nothing')
      if (error.kind === 'rejected' && entries.length > 1) {
        // One of them is at fault, or all together are too large: smaller calls will tell.
        this.#largestCall = Math.ceil(entries.length / 2)
        return null
      }
      logger.warn('The server does not take these events; they are dropped.', {
        events: entries.length,
        error: messageOf(error),
      })
    }
    this.#due -= entries.length
    for (const { stored } of this.#waiting.splice(0, entries.length)) stored()
    return null
  }

  #refuses(what: string, message: string): boolean {
    if (!this.#closed) return false
    if (!this.#warned)
      this.#context.logger.warn(`The job was in hand no longer when its handler made this ${what}; it is dropped.`, { message })
    this.#warned = true
    return true
  }
}

const lost = (count: number): string =>
  `${count} lines are missing here: they came while the server could not be reached, or faster than it took them.`
