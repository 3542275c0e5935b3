import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { RawConnection, requestHead } from '../support/raw-connection.ts'
import { until } from '../support/until.ts'

/** A request whose sender has all the time in the world. */
class SlowClient {
  readonly connection: RawConnection
  readonly #bytes: string
  #sent = 0

  constructor(connection: RawConnection, bytes: string) {
    this.connection = connection
    this.#bytes = bytes
  }

  async sendOne(): Promise<void> {
    await this.connection.send(this.#bytes[this.#sent++] ?? '')
  }
}

const HEAD = requestHead('GET', '/healthz', { 'x-padding': 'x'.repeat(5_000) })
const BODY_HEAD = requestHead('POST', '/request?custom_value=App', { 'content-length': '5000' })
const CHUNKED_HEAD = requestHead('POST', '/request?custom_value=App', { 'transfer-encoding': 'chunked' })

describe('200 slow clients at once', { concurrency: true }, () => {
  for (const [part, begin, rest, seconds] of [
    ['headers', '', HEAD, 10],
    ['body', BODY_HEAD, 'x'.repeat(5_000), 30],
    ['chunked body', CHUNKED_HEAD, '1\r\nx\r\n'.repeat(1_000), 30],
  ] as const)
    test(`that trickle their ${part} are cut off with 408 after ${seconds} s, while others are served.`, async (t) => {
      const { client, server } = await startOctoflow(t)
      const slow = Array.from({ length: 200 }, () => new SlowClient(new RawConnection(t, server.url), rest))
      await Promise.all(slow.map(({ connection }) => connection.send(begin)))
      const begun = performance.now()
      let slowest = 0
      await until(
        async () => {
          await Promise.all(slow.map((one) => one.sendOne()))
          const asked = performance.now()
          assert.equal((await client.get('/healthz')).status, 200)
          slowest = Math.max(slowest, performance.now() - asked)
          return slow.every(({ connection }) => connection.closed)
        },
        { what: 'all slow clients are cut off', withinSeconds: seconds + 10, everyMs: 500 },
      )
      const took = (performance.now() - begun) / 1_000
      assert.ok(took >= seconds - 1, `cut off after ${took} s already`)
      assert.ok(slowest < 5_000, `others waited for up to ${slowest} ms`)
      for (const { connection } of slow) assert.equal((await connection.answer())?.status, 408)
      assert.equal((await client.get('/request/1')).status, 404, 'nothing was recorded')
    })

  test('that say nothing at all are cut off after 10 s.', async (t) => {
    const { client, server } = await startOctoflow(t)
    const silent = Array.from({ length: 200 }, () => new RawConnection(t, server.url))
    await Promise.all(silent.map((connection) => connection.send('')))
    await Promise.all(silent.map((connection) => connection.ended(20)))
    assert.equal((await client.get('/healthz')).status, 200)
  })
})
