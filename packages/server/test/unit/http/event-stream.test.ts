import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { Authenticator } from '../../../src/core/access/authenticator.ts'
import { Keys } from '../../../src/core/access/keys.ts'
import { Feed } from '../../../src/core/feed.ts'
import { streamRoutes } from '../../../src/http/apis/native/stream.ts'
import type { HttpContext } from '../../../src/http/context.ts'
import { authentication } from '../../../src/http/plugins/authentication.ts'
import { compileValidator } from '../../../src/http/validation.ts'
import { SECOND } from '../../../src/lib/time.ts'
import { ADMIN, type Core, openCore } from '../core/core.ts'

/** The routes of watching on a port of their own, whose time stands until the test moves it. */
async function serve(t: TestContext, { ports }: Core) {
  const keys = new Keys(ports)
  const feed = new Feed(ports)
  const authenticator = new Authenticator(ports, keys, { staticKeys: [], verifier: null, disabled: false })
  const app = Fastify()
  app.setValidatorCompiler(compileValidator)
  await app.register(authentication, { authenticator, publicPrefix: '/docs' })
  await app.register(streamRoutes, { context: { ports, keys, feed, authenticator } as unknown as HttpContext })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => app.close())
  return {
    keys,
    feed,
    open: async (token: string): Promise<Reader> => {
      const response = await fetch(`${url}/stream`, { headers: { authorization: `Bearer ${token}` } })
      assert.equal(response.status, 200)
      return new Reader(response.body!)
    },
  }
}

/** What a stream has told so far. */
class Reader {
  #text = ''
  readonly #parts: ReadableStreamDefaultReader<string>

  constructor(body: ReadableStream<Uint8Array>) {
    this.#parts = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  }

  /** Reads on until `holds`, or to the end. @returns whether it holds. */
  async readUntil(holds: (text: string) => boolean): Promise<boolean> {
    while (!holds(this.#text)) {
      const { done, value } = await this.#parts.read()
      if (done) return false
      this.#text += value
    }
    return true
  }

  /** @returns all that was told, once the stream has ended. */
  async end(): Promise<string> {
    await this.readUntil(() => false)
    return this.#text
  }
}

const beats = (text: string): number => text.split(': still here').length - 1

test('A stream ends at the beat after its key has expired or was voided by another server; others go on.', {
  timeout: 20_000,
}, async (t) => {
  await using core = await openCore()
  const { keys, feed, open } = await serve(t, core)
  const make = (expiresIn: number | null) => {
    const expiresAt = expiresIn === null ? null : core.clock.now() + expiresIn
    return keys.create({ name: 'k', role: 'viewer', queues: null, expiresAt }, ADMIN)
  }
  const [lasting, expiring, voided] = [await make(null), await make(20 * SECOND), await make(null)]
  const stays = await open(lasting.token)
  const expires = await open(expiring.token)
  const ends = await open(voided.token)
  await core.storage.access.delete({ now: core.clock.now(), id: voided.key.id })
  await core.clock.advance(15 * SECOND)
  assert.equal(beats(await ends.end()), 0)
  assert.ok(await expires.readUntil((text) => beats(text) === 1), 'its time is not up yet')
  await core.clock.advance(15 * SECOND)
  assert.equal(beats(await expires.end()), 1)
  assert.ok(await stays.readUntil((text) => beats(text) === 2))
  feed.publish([{ id: 7, queue: 'q', state: 'running' }])
  assert.ok(await stays.readUntil((text) => text.includes('"id":7')))
})
