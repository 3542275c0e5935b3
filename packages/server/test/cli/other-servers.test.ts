import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { VERSION } from '../../src/version.ts'
import { CommandLine } from './support/command-line.ts'

interface Page {
  readonly status: number
  readonly body: string
}

/** A command line whose server answers with these pages, by the part of the path behind `/api/v1`. */
async function besideServer(t: TestContext, pages: Readonly<Record<string, Page>>): Promise<CommandLine> {
  const server = createServer((request, answer) => {
    const path = new URL(request.url!, 'http://server').pathname.replace('/api/v1', '')
    const { status, body } = pages[path] ?? pages['*']!
    answer.writeHead(status).end(body)
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return new CommandLine(t, { OCTOFLOW_URL: `http://127.0.0.1:${port}`, OCTOFLOW_KEY: 'k' })
}

const json = (body: object, status = 200): Page => ({ status, body: JSON.stringify(body) })

const ME = json({ name: 'k', role: 'admin', queues: null, server: { version: '9.8.7' } })
const NOT_FOUND = json({ code: 'not_found', detail: 'Nothing is served at /api/v1/queues.', hint: 'Look at /docs.' }, 404)

const MISFIT = new RegExp(
  `has version 9\\.8\\.7 and this command line ${VERSION.replaceAll('.', '\\.')}, which do not fit together: `,
)

test('A route that the server does not have is told with both versions, and not as something that does not exist.', async (t) => {
  const cli = await besideServer(t, { '/me': ME, '*': NOT_FOUND })
  for (const command of [
    ['queues', 'list'],
    ['jobs', 'cancel', '1'],
  ]) {
    const { code, out, err } = await cli.run(...command)
    assert.deepEqual([code, out], [ExitCode.failed, ''])
    assert.match(err, MISFIT)
    assert.match(err, /: Nothing is served at \/api\/v1\/queues\.\nUse the command line of the server’s version/)
  }
})

test('An answer that lacks what is needed of it is told with both versions.', async (t) => {
  const cli = await besideServer(t, { '/me': ME, '*': json({ items: [{ name: 'q' }], next: null }) })
  const { code, err } = await cli.run('queues', 'list')
  assert.equal(code, ExitCode.failed)
  assert.match(err, MISFIT)
})

test('The same of a server of this version is a mistake of ours.', async (t) => {
  const own = json({ server: { version: VERSION } })
  const cli = await besideServer(t, { '/me': own, '*': json({ items: [{ name: 'q' }], next: null }) })
  const { code, err } = await cli.run('queues', 'list')
  assert.equal(code, ExitCode.failed)
  assert.match(err, /^octoflow: Something unexpected happened: .+\nThis is a mistake in Octoflow/)
})

test('What answers as no Octoflow server does is named with its status, a proxy without a server as such.', async (t) => {
  for (const [page, why] of [
    [{ status: 200, body: '<html>Please sign in</html>' }, /is not an Octoflow server: status 200\.\nName the server/],
    [{ status: 404, body: '<html>Not found</html>' }, /is not an Octoflow server: status 404\./],
    [{ status: 200, body: '[]' }, /is not an Octoflow server: status 200\./],
    [json({ ok: true }), /is not an Octoflow server: status 200\./],
    [json({ message: 'no' }, 403), /is not an Octoflow server: status 403\./],
    [
      { status: 502, body: '<html>Bad gateway</html>' },
      /is a proxy that reaches no server: status 502\.\nLook whether the server runs/,
    ],
    [{ status: 504, body: '' }, /is a proxy that reaches no server: status 504\./],
  ] as const) {
    const cli = await besideServer(t, { '*': page })
    const { code, out, err } = await cli.run('queues', 'list')
    assert.deepEqual([code, out], [ExitCode.unreachable, ''], page.body)
    assert.match(err, why)
  }
})
