import assert from 'node:assert/strict'
import { type Owner, whenDone } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { within } from '../support/until.ts'
import type { Event } from './events.ts'

export interface TailOpening {
  readonly query?: string
  readonly key?: string
  /** The last id seen before. */
  readonly lastId?: string | undefined
}

/** A client of `GET /v1/events/stream` that keeps what it was told. */
export class Tail {
  readonly events: Event[] = []
  readonly resets: string[] = []
  readonly #control = new AbortController()
  #lastId: string | undefined
  #ended = false
  #changed = Promise.withResolvers<void>()

  /** Resolves once the server has answered, so that whatever is stored next is told. */
  static async open(owner: Owner, url: string, { query = '', key = KEY, lastId }: TailOpening = {}): Promise<Tail> {
    const tail = new Tail()
    const headers = { authorization: `Bearer ${key}`, ...(lastId !== undefined && { 'last-event-id': lastId }) }
    const response = await fetch(`${url}/v1/events/stream?${query}`, { headers, signal: tail.#control.signal })
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type')!, /^text\/event-stream/)
    void tail.#read(response.body!)
    whenDone(owner, () => tail.close())
    return tail
  }

  /** The id with which a client would come back now. */
  get lastId(): string | undefined {
    return this.#lastId
  }

  get ids(): string[] {
    return this.events.map(({ event_id }) => event_id)
  }

  get ended(): boolean {
    return this.#ended
  }

  close(): void {
    this.#control.abort()
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 60_000
    while (!holds()) {
      if (this.#ended) throw new Error(`the stream ended while waiting until ${what}`)
      await within((deadline - performance.now()) / 1_000, `waiting until ${what}`, this.#changed.promise)
    }
  }

  async end(): Promise<void> {
    while (!this.#ended) await within(10, 'waiting until the stream ends', this.#changed.promise)
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    let rest = ''
    try {
      for await (const part of body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
        const blocks = (rest + part).split('\n\n')
        rest = blocks.pop()!
        for (const block of blocks) this.#take(block)
        this.#notify()
      }
    } catch (error) {
      if (!this.#control.signal.aborted) throw error
    } finally {
      this.#ended = true
      this.#notify()
    }
  }

  #take(block: string): void {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const data = fields.get('data')
    if (fields.get('event') === 'reset') this.resets.push(fields.get('id')!)
    else if (data !== undefined) this.events.push(JSON.parse(data) as Event)
    this.#lastId = fields.get('id') ?? this.#lastId
  }

  #notify(): void {
    const { resolve } = this.#changed
    this.#changed = Promise.withResolvers<void>()
    resolve()
  }
}
