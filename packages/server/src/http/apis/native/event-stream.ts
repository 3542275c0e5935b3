import type { ServerResponse } from 'node:http'
import type { StreamJob } from '@octoflow/protocol'
import type { Feed, FeedEvent } from '../../../core/feed.ts'
import { toIso } from '../../../lib/time.ts'
import type { QueueScope } from '../../../model/access.ts'

/** A comment now and then keeps proxies from closing a silent connection, and finds out whether it still stands. */
const KEEP_ALIVE_MS = 15_000

/** What may lie unsent for a client that reads too slowly; beyond that it is told later what it missed. */
const UNSENT_AT_MOST = 256 * 1024

/** One client's Server-Sent Events, https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class EventStream {
  readonly #response: ServerResponse
  readonly #feed: Feed
  readonly #scope: QueueScope
  readonly #closeListeners: (() => void)[] = []
  #unsubscribe: () => void = () => {}
  #keepAlive: NodeJS.Timeout | null = null
  #lastId: string | null = null
  #behind = false

  constructor(response: ServerResponse, feed: Feed, scope: QueueScope) {
    this.#response = response
    this.#feed = feed
    this.#scope = scope
  }

  /** @param lastId the last event that the client has seen, if it comes back. */
  open(lastId: string | null): void {
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    this.#response.write('retry: 1000\n\n')
    this.#response.on('close', () => this.close())
    this.#response.on('drain', () => this.#catchUp())
    this.#keepAlive = setInterval(() => this.#response.write(': still here\n\n'), KEEP_ALIVE_MS).unref()
    if (lastId !== null) {
      this.#lastId = lastId
      this.#sendSince(lastId)
    }
    this.#unsubscribe = this.#feed.subscribe(this.#scope, (event) => this.#send(event))
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener)
  }

  close(): void {
    this.#unsubscribe()
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive)
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
    if (this.#lastId !== null) this.#sendSince(this.#lastId)
  }

  #sendSince(lastId: string): void {
    const missed = this.#feed.since(lastId, this.#scope)
    if (missed === null) this.#response.write('event: reset\ndata: {}\n\n')
    else for (const event of missed) this.#send(event)
  }
}
