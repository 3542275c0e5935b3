import assert from 'node:assert/strict'
import type { StreamJob } from '@octoflow/protocol'
import { type Owner, whenDone } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { within } from '../support/until.ts'

export interface LiveUpdate {
  readonly id: string | null
  readonly event: string
  readonly data: StreamJob
}

export interface Opening {
  readonly key?: string
  /** The last update seen before. */
  readonly lastId?: string
}

/** A client of `GET /api/v1/stream` that keeps all it was told. */
export class LiveUpdates {
  readonly all: LiveUpdate[] = []
  readonly #control = new AbortController()
  #lastId: string | null = null
  #ended = false
  #changed = Promise.withResolvers<void>()

  /** Resolves once the server has answered, so that whatever happens next is told. */
  static async open(owner: Owner, url: string, { key = KEY, lastId }: Opening = {}): Promise<LiveUpdates> {
    const updates = new LiveUpdates()
    const headers = { authorization: `Bearer ${key}`, ...(lastId !== undefined && { 'last-event-id': lastId }) }
    const response = await fetch(`${url}/api/v1/stream`, { headers, signal: updates.#control.signal })
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type')!, /^text\/event-stream/)
    assert.equal(response.headers.get('cache-control'), 'no-store')
    void updates.#read(response.body!)
    whenDone(owner, () => updates.close())
    return updates
  }

  /** The id with which a client would come back now. */
  get lastId(): string | null {
    return this.#lastId
  }

  get ended(): boolean {
    return this.#ended
  }

  close(): void {
    this.#control.abort()
  }

  /** Resolves when what was told `holds`. */
  async until(holds: (all: readonly LiveUpdate[]) => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 30_000
    while (!holds(this.all)) {
      if (this.#ended) throw new Error(`the stream ended while waiting until ${what}`)
      await within((deadline - performance.now()) / 1_000, `waiting until ${what}`, this.#changed.promise)
    }
  }

  /** The changes of state told so far, such as `1 pending`. */
  get changes(): string[] {
    return this.all.filter(({ event }) => event === 'job').map(({ data }) => `${data.id} ${data.state}`)
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
    this.#lastId = fields.get('id') ?? this.#lastId
    const data = fields.get('data')
    if (data !== undefined)
      this.all.push({ id: fields.get('id') ?? null, event: fields.get('event')!, data: JSON.parse(data) as StreamJob })
  }

  #notify(): void {
    const { resolve } = this.#changed
    this.#changed = Promise.withResolvers<void>()
    resolve()
  }
}
