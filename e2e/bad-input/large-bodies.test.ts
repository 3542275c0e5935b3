import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { RawConnection, requestHead } from '../support/raw-connection.ts'
import type { ServerProcess } from '../support/server-process.ts'

const MIB = 2 ** 20
const PIECE = Buffer.alloc(64 * 1024, 'x')
const CHUNK = Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from('\r\n')])
const PIECES = (100 * MIB) / PIECE.length

/** The server's resident memory, in bytes. */
function memory({ pid }: ServerProcess): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kibibytes) * 1024
}

/** Sends 100 MB, answered or not, as a client does that looks for the answer only when it has said everything. */
async function pour(connection: RawConnection, head: string, piece: Buffer): Promise<void> {
  await connection.send(head)
  for (let n = 0; n < PIECES && !connection.closed; n++) await connection.send(piece)
}

for (const [how, headers, piece] of [
  ['with a Content-Length', { 'content-length': String(100 * MIB) }, PIECE],
  ['in chunks', { 'transfer-encoding': 'chunked' }, CHUNK],
] as const) {
  test(`A body of 100 MB ${how} is 413, and takes no memory.`, async (t) => {
    const { client, server } = await startOctoflow(t)
    for (let n = 0; n < 200; n++) await client.post('/request?custom_value=App', { json: { n } })
    const before = memory(server)
    for (const [method, path, type] of [
      ['POST', '/request?custom_value=App', 'application/json'],
      ['POST', '/request?custom_value=App', 'multipart/form-data; boundary=x'],
      ['PUT', '/jobs/1/update-status', 'application/json'],
      ['POST', '/api/v1/jobs', 'application/json'],
    ] as const) {
      const head = requestHead(method, path, { ...headers, 'content-type': type })
      const answers = await Promise.all(
        Array.from({ length: 3 }, async () => {
          const connection = new RawConnection(t, server.url)
          await pour(connection, head, piece)
          const answer = await connection.answer()
          connection.close()
          return answer?.status
        }),
      )
      assert.deepEqual(answers, [413, 413, 413], path)
    }
    const grown = memory(server) - before
    assert.ok(grown < 30 * MIB, `the server has grown by ${Math.round(grown / MIB)} MiB`)
    assert.equal((await client.get('/request/201')).status, 404, 'nothing was recorded')
  })

  test(`One who sends a body of 100 MB ${how} is told at once, before it is sent in full.`, async (t) => {
    const { client, server } = await startOctoflow(t)
    const connection = new RawConnection(t, server.url)
    await connection.send(requestHead('POST', '/request', { ...headers, 'content-type': 'text/plain' }))
    for (let sent = 0; sent <= MIB; sent += PIECE.length) await connection.send(piece)
    const answer = await connection.answer(2)
    assert.equal(answer?.status, 413)
    assert.equal(JSON.parse(answer.text).message, 'The body is larger than 1048576 bytes.')
    connection.close()
    assert.equal((await client.get('/healthz')).status, 200)
  })
}
