import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import type { Owner } from '../support/owner.ts'
import { RawConnection, requestHead } from '../support/raw-connection.ts'
import type { ServerProcess } from '../support/server-process.ts'

const MIB = 2 ** 20
const PIECE = Buffer.alloc(64 * 1024, 'x')
const CHUNK = Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from('\r\n')])

/** Each of them reads its body in a way of its own. */
const TARGETS = [
  ['POST', '/request?custom_value=App', 'application/json'],
  ['POST', '/request?custom_value=App', 'multipart/form-data; boundary=x'],
  ['PUT', '/jobs/1/update-status', 'application/json'],
  ['POST', '/api/v1/jobs', 'application/json'],
] as const

/** The server's resident memory, in bytes. */
function memory({ pid }: ServerProcess): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kibibytes) * 1024
}

/** How a body is sent: what its head says of its length, and a piece of it. */
interface Way {
  readonly headers: (bytes: number) => Readonly<Record<string, string>>
  readonly piece: Buffer
}

const WAYS: readonly (readonly [how: string, way: Way])[] = [
  ['with a Content-Length', { headers: (bytes) => ({ 'content-length': String(bytes) }), piece: PIECE }],
  ['in chunks', { headers: () => ({ 'transfer-encoding': 'chunked' }), piece: CHUNK }],
]

/** Sends a body, answered or not, as a client does that looks for the answer only when it has said everything. */
async function pour(owner: Owner, url: string, bytes: number, { headers, piece }: Way, target: (typeof TARGETS)[number]) {
  const [method, path, type] = target
  const connection = new RawConnection(owner, url)
  await connection.send(requestHead(method, path, { ...headers(bytes), 'content-type': type }))
  for (let sent = 0; sent < bytes && !connection.closed; sent += PIECE.length) await connection.send(piece)
  const answer = await connection.answer()
  connection.close()
  return answer?.status
}

/** Sends several bodies at once to each route. */
async function pourAll(owner: Owner, url: string, bytes: number, way: Way): Promise<void> {
  const targets = [...TARGETS, ...TARGETS, ...TARGETS]
  const statuses = await Promise.all(targets.map((target) => pour(owner, url, bytes, way, target)))
  assert.ok(
    statuses.every((status) => status === 413),
    `${statuses}`,
  )
}

/** Rounds after which a process that has not grown in them has as much memory as it takes. */
const STEADY = 10

/**
 * Sends bodies just over the limit until the server grows no further. What it has read of a body is garbage as soon as it
 * has answered, but is collected only when some tens of megabytes of it have gathered (measured: 80 to 100), whatever the
 * size of the bodies.
 */
async function warmUp(owner: Owner, server: ServerProcess, way: Way): Promise<number> {
  let most = 0
  for (let steady = 0, rounds = 0; steady < STEADY && rounds < 200; steady++, rounds++) {
    await pourAll(owner, server.url, 2 * MIB, way)
    const now = memory(server)
    if (now > most + MIB / 2) steady = 0
    most = Math.max(most, now)
  }
  return most
}

for (const [how, way] of WAYS) {
  test(`Bodies of 100 MB ${how} are 413, and take no more memory than small ones.`, async (t) => {
    const { client, server } = await startOctoflow(t)
    const before = await warmUp(t, server, way)
    await pourAll(t, server.url, 100 * MIB, way)
    const grown = memory(server) - before
    assert.ok(grown < 30 * MIB, `the server has grown by ${Math.round(grown / MIB)} MiB`)
    assert.equal((await client.get('/request/1')).status, 404, 'nothing was recorded')
  })

  test(`One who sends a body of 100 MB ${how} is told at once, before it is sent in full.`, async (t) => {
    const { client, server } = await startOctoflow(t)
    const connection = new RawConnection(t, server.url)
    await connection.send(requestHead('POST', '/request', { ...way.headers(100 * MIB), 'content-type': 'text/plain' }))
    for (let sent = 0; sent <= MIB; sent += PIECE.length) await connection.send(way.piece)
    const answer = await connection.answer(2)
    assert.equal(answer?.status, 413)
    assert.equal(JSON.parse(answer.text).message, 'The body is larger than 1048576 bytes.')
    connection.close()
    assert.equal((await client.get('/healthz')).status, 200)
  })
}
