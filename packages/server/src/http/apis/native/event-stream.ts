import type { ServerResponse } from 'node:http'
import type { StreamJob } from '@octoflow/protocol'
import type { Feed, FeedEvent } from '../../../core/feed.ts'
import type { CancelTimer, Clock } from '../../../lib/clock.ts'
import { SECOND, toIso } from '../../../lib/time.ts'
import type { Watcher } from '../../watcher.ts'

/** A comment now and then keeps proxies from closing a silent connection, and finds out whether it still stands. */
const BEAT_EVERY = 15 * SECOND

/** What may lie unsent for a client that reads too slowly; beyond that it is told later what it missed. */
const UNSENT_AT_MOST = 256 * 1024

/** One client's Server-Sent Events, https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class EventStream {
  readonly #response: ServerResponse
  readonly #feed: Feed
  readonly #watcher: Watcher
  readonly #clock: Clock
  readonly #closeListeners: (() => void)[] = []
  #unsubscribe: () => void = () => {}
  #cancelBeat: CancelTimer = () => {}
  #closed = false
  #lastId: string
  #behind = false

  /** @param lastId the last event that the client has seen, if it comes back. */
  constructor(response: ServerResponse, feed: Feed, watcher: Watcher, clock: Clock, lastId: string | null) {
    this.#response = response
    this.#feed = feed
    this.#watcher = watcher
    this.#clock = clock
    this.#lastId = lastId ?? feed.position
  }

  open(): void {
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    // With an id from the start, who is cut off before the first event misses nothing either.
    this.#response.write(`retry: 1000\nid: ${this.#lastId}\n\n`)
    this.#response.on('close', () => this.close())
    this.#response.on('drain', () => this.#catchUp())
    this.#sendMissed()
    this.#unsubscribe = this.#feed.subscribe(this.#watcher.scope, (event) => this.#send(event))
    this.#scheduleBeat()
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener)
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe()
    this.#cancelBeat()
    if (!this.#response.writableEnded) this.#response.end()
    for (const listener of this.#closeListeners.splice(0)) listener()
  }

  #send(event: FeedEvent): void {
    if (this.#behind) return
    if (this.#response.writableLength > UNSENT_AT_MOST) {
      this.#behind = true
      return
    }
    this.#lastId = event.id
    const { id, queue, state } = event.job
    const data: StreamJob = { id, queue, state, at: toIso(event.at) }
    this.#response.write(`id: ${event.id}\nevent: job\ndata: ${JSON.stringify(data)}\n\n`)
  }

  #catchUp(): void {
    if (!this.#behind) return
    this.#behind = false
    this.#sendMissed()
  }

  #sendMissed(): void {
    const missed = this.#feed.since(this.#lastId, this.#watcher.scope)
    if (missed !== null) {
      for (const event of missed) this.#send(event)
      return
    }
    this.#lastId = this.#feed.position
    this.#response.write(`id: ${this.#lastId}\nevent: reset\ndata: {}\n\n`)
  }

  #scheduleBeat(): void {
    this.#cancelBeat = this.#clock.after(BEAT_EVERY, () => void this.#beat())
  }

  async #beat(): Promise<void> {
    const stays = await this.#watcher.mayStay()
    if (this.#closed) return
    if (!stays) return this.close()
    this.#response.write(': still here\n\n')
    this.#scheduleBeat()
  }
}
