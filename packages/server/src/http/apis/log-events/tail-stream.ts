import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { LogEventTail } from '../../../core/log-events/tail.ts'
import type { Logger } from '../../../core/ports.ts'
import type { CancelTimer, Clock } from '../../../lib/clock.ts'
import { SECOND } from '../../../lib/time.ts'
import { type LogEventFilter, matches } from '../../../model/log-event.ts'
import type { LogEventsFollowed } from '../../../storage/contract/log-events.ts'
import type { Watcher } from '../../watcher.ts'

/** A comment now and then keeps proxies from closing a silent connection, and finds out whether it still stands. */
const BEAT_EVERY = 15 * SECOND

export const TAIL_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
} as const

interface Parts {
  readonly tail: LogEventTail
  readonly clock: Clock
  readonly logger: Logger
  readonly watcher: Watcher
}

/**
 * One client's live tail, https://html.spec.whatwg.org/multipage/server-sent-events.html. What the client has not taken yet is not
 * read yet, but for one portion.
 */
export class TailStream {
  readonly #response: ServerResponse
  readonly #filter: LogEventFilter
  readonly #parts: Parts
  readonly #end = new AbortController()
  #cancelBeat: CancelTimer = () => {}

  constructor(response: ServerResponse, filter: LogEventFilter, parts: Parts) {
    this.#response = response
    this.#filter = filter
    this.#parts = parts
  }

  /** Sends what comes after a mark, until the client goes away or the stream is closed. */
  async run(mark: string): Promise<void> {
    this.#response.on('close', () => this.close())
    this.#response.on('error', () => this.close())
    this.#response.writeHead(200, TAIL_HEADERS)
    this.#scheduleBeat()
    try {
      // With an id from the start, who is cut off before the first event misses nothing either.
      await this.#write(`retry: 1000\nid: ${mark}\n\n`)
      await this.#follow(mark)
    } catch (error) {
      if (!this.#end.signal.aborted)
        this.#parts.logger.warn({ err: error }, 'a live tail ended early; its client may come back')
    } finally {
      this.close()
    }
  }

  close(): void {
    this.#end.abort()
    this.#cancelBeat()
    if (!this.#response.writableEnded) this.#response.end()
  }

  async #follow(from: string): Promise<void> {
    const { tail } = this.#parts
    const { signal } = this.#end
    let mark = from
    while (!signal.aborted) {
      const { arrivals } = tail
      const followed = await tail.read(mark)
      if (followed === null) {
        // The mark is none of this database: all that can be done is to say so, and to begin with what comes.
        mark = await tail.end()
        await this.#write(`id: ${mark}\nevent: reset\ndata: {}\n\n`)
      } else if (followed.events.length > 0) {
        await this.#send(followed)
        mark = followed.mark
      } else {
        mark = followed.mark
        await tail.more(arrivals, signal)
      }
    }
  }

  async #send({ events, mark }: LogEventsFollowed): Promise<void> {
    let sent: string | null = null
    for (const event of events) {
      if (!matches(this.#filter, event)) continue
      await this.#write(`id: ${event.mark}\ndata: ${event.document}\n\n`)
      sent = event.mark
    }
    // Who comes back need not be led again past what did not match.
    if (sent !== mark) await this.#write(`id: ${mark}\n\n`)
  }

  /** Resolves when there is room for more. @throws when the stream was closed. */
  async #write(text: string): Promise<void> {
    this.#end.signal.throwIfAborted()
    if (!this.#response.write(text)) await once(this.#response, 'drain', { signal: this.#end.signal })
  }

  #scheduleBeat(): void {
    this.#cancelBeat = this.#parts.clock.after(BEAT_EVERY, () => void this.#beat())
  }

  async #beat(): Promise<void> {
    const stays = await this.#parts.watcher.mayStay()
    if (this.#end.signal.aborted) return
    if (!stays) return this.close()
    // One who has not even taken what was sent is known to be there.
    if (!this.#response.writableNeedDrain) this.#response.write(': still here\n\n')
    this.#scheduleBeat()
  }
}
