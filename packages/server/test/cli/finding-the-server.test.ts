import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { writeServerFile } from '../../src/cli/server-file.ts'
import { CommandLine } from './support/command-line.ts'
import { KEY, startServer, startSite } from './support/server.ts'

/** Where nobody listens: a port that was free a moment ago. */
async function unusedUrl(): Promise<string> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

/** A command line in whose data directory a running server has left its address. */
async function besideServer(t: TestContext): Promise<CommandLine> {
  const { http } = await startServer(t)
  const cli = new CommandLine(t)
  writeServerFile(cli.path('data'), { url: http.url!, pid: process.pid })
  return cli
}

test('Without any option the server and its key are found in the data directory.', async (t) => {
  const cli = await besideServer(t)
  writeFileSync(cli.path('data', 'key'), `${KEY}\n`, { mode: 0o600 })
  assert.equal((await cli.run('queues', 'list')).code, ExitCode.ok)
})

test('--data names another data directory.', async (t) => {
  const { http } = await startServer(t)
  const cli = new CommandLine(t)
  writeServerFile(cli.path('state'), { url: http.url!, pid: process.pid })
  writeFileSync(cli.path('state', 'key'), KEY)
  assert.equal((await cli.run('queues', 'list', '--data', 'state')).code, ExitCode.ok)
  assert.notEqual((await cli.run('queues', 'list')).code, ExitCode.ok)
})

test('The key comes from the configuration of the server: its environment, .env or octoflow.yml.', async (t) => {
  const cli = await besideServer(t)
  assert.equal((await cli.run('queues', 'list')).code, ExitCode.denied)
  for (const name of ['AUTHORIZATION_KEY', 'API_TOKEN'])
    assert.equal((await cli.start(['queues', 'list'], { env: { [name]: KEY } }).ended).code, ExitCode.ok, name)
  mkdirSync(cli.path('app'))
  writeFileSync(cli.path('app', '.env'), `AUTHORIZATION_KEY=${KEY}\n`)
  assert.equal((await cli.run('queues', 'list', '--app', 'app')).code, ExitCode.ok)
  writeFileSync(cli.path('my.yml'), `security:\n  apiToken: ${KEY}\n`)
  assert.equal((await cli.run('queues', 'list', '--config', 'my.yml')).code, ExitCode.ok)
})

test('Options win over OCTOFLOW_URL and OCTOFLOW_KEY, and those over the data directory.', async (t) => {
  const { cli, url } = await startSite(t)
  writeServerFile(cli.path('data'), { url: await unusedUrl(), pid: process.pid })
  writeFileSync(cli.path('data', 'key'), 'another-key')
  assert.equal((await cli.run('queues', 'list')).code, ExitCode.ok)
  assert.equal((await cli.run('queues', 'list', '--key', 'wrong')).code, ExitCode.denied)
  assert.equal((await cli.run('queues', 'list', '--url', await unusedUrl())).code, ExitCode.unreachable)
  const wrong = { OCTOFLOW_URL: await unusedUrl(), OCTOFLOW_KEY: 'wrong' }
  const given = cli.start(['queues', 'list', '--url', `${url}/`, '--key', KEY], { env: wrong })
  assert.equal((await given.ended).code, ExitCode.ok)
})

test('A server that does not answer gives exit code 5, the address that was tried, and how to start one.', async (t) => {
  const cli = new CommandLine(t)
  const url = await unusedUrl()
  for (const [args, env, from] of [
    [['--url', url], {}, '--url'],
    [[], { OCTOFLOW_URL: url }, 'OCTOFLOW_URL'],
    [[], { PORT: new URL(url).port }, 'PORT in the environment'],
  ] as const) {
    const { code, out, err } = await cli.start(['queues', 'list', ...args], { env }).ended
    assert.deepEqual([code, out], [ExitCode.unreachable, ''])
    assert.match(err, new RegExp(`^octoflow: No server answers at ${url} \\(from ${from}\\): the connection is refused\\.\\n`))
    assert.match(err, /Start one with `octoflow serve`/)
  }
})

test('What a server left behind that was ended by force is passed over.', async (t) => {
  const cli = new CommandLine(t, { PORT: '1' })
  writeServerFile(cli.path('data'), { url: 'http://127.0.0.1:2', pid: 999_999_999 })
  assert.match((await cli.run('queues', 'list')).err, /at http:\/\/127\.0\.0\.1:1 /)
})

test('A missing or wrong key gives exit code 4 and says which key it was.', async (t) => {
  const { cli } = await startSite(t)
  const { code, err } = await cli.run('queues', 'list', '--key', 'wrong')
  assert.equal(code, ExitCode.denied)
  assert.match(err, /does not accept the key from --key\.\nGive another/)
  const none = await cli.start(['queues', 'list'], { env: { OCTOFLOW_KEY: '' } }).ended
  assert.equal(none.code, ExitCode.denied)
  assert.match(none.err, /asks for a key, and none was found\./)
})

test('A key that may not do it gives exit code 4 and names the role that may.', async (t) => {
  const { cli } = await startSite(t)
  const { out: key } = await cli.run('keys', 'create', 'reader', '--role', 'viewer')
  const { code, err } = await cli.run('submit', 'q', '--key', key.trim())
  assert.equal(code, ExitCode.denied)
  assert.match(err, /has the role viewer; this needs producer/)
})

test('The key of the data directory is shown to no other machine.', async (t) => {
  const cli = new CommandLine(t)
  mkdirSync(cli.path('data'))
  writeFileSync(cli.path('data', 'key'), 'local-key')
  const seen: (string | undefined)[] = []
  const server = createServer((request, answer) => {
    seen.push(request.headers.authorization)
    answer.writeHead(401, { 'content-type': 'application/problem+json' }).end('{"code":"unauthorized","detail":"no"}')
  }).listen(0, '0.0.0.0')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await cli.run('queues', 'list', '--url', `http://127.0.0.1:${port}`)
  await cli.run('queues', 'list', '--url', `http://0.0.0.0:${port}`)
  assert.deepEqual(seen, ['Bearer local-key', undefined])
})

test('What answers but is no Octoflow server is named as such, with exit code 5.', async (t) => {
  const cli = new CommandLine(t, { OCTOFLOW_KEY: 'k' })
  const server = createServer((_, answer) => answer.end('<html>Hello</html>')).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const command of [
    ['queues', 'list'],
    ['jobs', 'tail'],
  ]) {
    const { code, err } = await cli.run(...command, '--url', url)
    assert.equal(code, ExitCode.unreachable)
    assert.match(err, /is not an Octoflow server: status 200/)
  }
})

test('An address or a key that cannot be one is a usage error.', async (t) => {
  const cli = new CommandLine(t)
  for (const url of ['nonsense', 'ftp://host', 'http://user:secret@host'])
    assert.equal((await cli.run('queues', 'list', '--url', url)).code, ExitCode.usage, url)
  assert.equal((await cli.run('queues', 'list', '--url', 'http://127.0.0.1:1', '--key', 'two words')).code, ExitCode.usage)
})

test('A key file that cannot be read gives exit code 4.', async (t) => {
  const cli = await besideServer(t)
  mkdirSync(cli.path('data', 'key'))
  const { code, err } = await cli.run('queues', 'list')
  assert.equal(code, ExitCode.denied)
  assert.match(err, /The key in data\/key cannot be read: EISDIR/)
})

test('A configuration that does not fit gives exit code 7.', async (t) => {
  const cli = new CommandLine(t, { OCTOFLOW_NONSENSE: '1' })
  const { code, err } = await cli.run('queues', 'list')
  assert.equal(code, ExitCode.config)
  assert.match(err, /OCTOFLOW_NONSENSE/)
})
