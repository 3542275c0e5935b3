import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { octoflow, runOctoflow } from './command.ts'

const HANDLER = `export async function process({ body }, job) {
  await job.event('half way')
  return { doubled: body.n * 2 }
}
`

test('worker runs a file on the jobs of its queues, in each isolation, until a signal ends it.', async (t) => {
  const { server } = await startOctoflow(t)
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'double.ts'), HANDLER)
  const env = { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }
  for (const isolation of ['inline', 'thread', 'process']) {
    const args = ['worker', 'double.ts', '-q', 'a', '-q', 'b', '-c', '2', '--lease', '10s', '--name', 'here']
    const worker = octoflow(t, [...args, '--isolation', isolation], { cwd, env })
    await worker.says(new RegExp(`^Working on a, b with double\\.ts, for ${server.url}\\.`))
    for (const queue of ['a', 'b']) {
      const { code, stdout } = await runOctoflow(t, ['submit', queue, '{"n":21}', '--wait', '--json'], { env })
      const { result, worker: by } = JSON.parse(stdout) as { result: unknown; worker: string }
      assert.deepEqual([code, result], [0, { doubled: 42 }])
      assert.match(by, /^here-/)
    }
    worker.signal('SIGINT')
    const { code, stdout } = await worker.ended
    assert.equal(code, 0)
    assert.match(stdout, /The worker has ended; it holds no jobs\.\n$/)
  }
})

test('With --json, a worker prints a document when it begins and one when it has ended, and logs JSON lines.', async (t) => {
  const { server } = await startOctoflow(t)
  const cwd = temporaryDirectory(t)
  const env = { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }
  const logging = "job.logger.warn('odd', { error: new Error('no'), big: 1n, job })"
  writeFileSync(join(cwd, 'double.ts'), HANDLER.replace("await job.event('half way')", logging))
  const worker = octoflow(t, ['worker', 'double.ts', '-q', 'a', '-q', 'b', '--json'], { cwd, env })
  await worker.says(/\n/)
  assert.equal((await runOctoflow(t, ['submit', 'a', '{"n":21}', '--wait'], { env })).code, 0)
  worker.signal('SIGTERM')
  const { code, stdout, stderr } = await worker.ended
  const documents = (text: string) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  assert.equal(code, 0)
  assert.deepEqual(documents(stdout), [
    { state: 'working', queues: ['a', 'b'], file: join(cwd, 'double.ts'), url: server.url },
    { state: 'ended' },
  ])
  const log = documents(stderr)
  for (const { time, msg } of log) assert.deepEqual([Number.isNaN(Date.parse(String(time))), typeof msg], [false, 'string'])
  const odd = log.find(({ msg }) => msg === 'odd') as { readonly level: string; readonly error: { readonly message: string } }
  assert.deepEqual([odd.level, odd.error.message], ['warn', 'no'])
})

test('A file that is not there gives exit code 2, and one that cannot be used 1, before any work is announced.', async (t) => {
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'none.ts'), 'export const run = 1\n')
  writeFileSync(join(cwd, 'broken.ts'), 'export const process = (\n')
  writeFileSync(join(cwd, 'throws.ts'), "\nthrow new Error('no database')\n")
  writeFileSync(join(cwd, 'needs.ts'), "import './gone.ts'\n")
  writeFileSync(join(cwd, 'exits.ts'), 'process.exit(3)\n')
  for (const [args, expected, why] of [
    [['missing.ts'], 2, /^octoflow: missing\.ts cannot be read: there is no such file\.\nName a TypeScript/],
    [['.'], 2, /^octoflow: \. cannot be read: it is a directory\.\n/],
    [['none.ts'], 1, /does not export a function named "process"\. It exports run\./],
    [['broken.ts'], 1, /broken\.ts cannot be loaded: .+ \(\S+broken\.ts, line \d\)\n/],
    [['throws.ts'], 1, /throws\.ts cannot be loaded: no database \(\S+throws\.ts, line 2\)\nMend the file/],
    [['throws.ts', '--isolation', 'thread'], 1, /throws\.ts cannot be loaded: no database \(\S+throws\.ts, line 2\)\n/],
    [['needs.ts'], 1, /needs\.ts cannot be loaded: Cannot find module '\S+gone\.ts' imported from \S+needs\.ts/],
    [['exits.ts', '--isolation', 'process'], 1, /ended with exit code 3\.\nMend the file/],
    [['none.ts', '-q', 'x'.repeat(300)], 2, /queues must be a list|must be the name of a queue/],
  ] as const) {
    const line = ['worker', ...args, '-q', 'x', '--url', 'http://127.0.0.1:2', '--key', 'k']
    const { code, stdout, stderr } = await runOctoflow(t, line, { cwd })
    assert.deepEqual([code, stdout], [expected, ''], `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, why)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
})

test('An address that cannot be one gives exit code 2; one where no Octoflow server answers, 5.', async (t) => {
  const { server } = await startOctoflow(t)
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'double.ts'), HANDLER)
  const page = createServer((_, answer) => answer.end('<html>Welcome</html>')).listen(0, '127.0.0.1')
  t.after(() => page.close())
  await once(page, 'listening')
  for (const [url, expected, why] of [
    ['nonsense', 2, /^octoflow: --url is not the address of a server\.\n/],
    [
      `http://127.0.0.1:${(page.address() as AddressInfo).port}`,
      5,
      /does not answer as an Octoflow server\..*\nName the server/,
    ],
    [`${server.url}/elsewhere`, 5, /answered 404 .+ check the worker’s url\.\nName the server/],
  ] as const) {
    const { code, stderr } = await runOctoflow(t, ['worker', 'double.ts', '-q', 'a', '--url', url, '--key', KEY], { cwd })
    assert.equal(code, expected, stderr)
    assert.match(stderr, why)
  }
})

test('A key that may not work gives exit code 4.', async (t) => {
  const { server, client } = await startOctoflow(t)
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'double.ts'), HANDLER)
  for (const key of ['wrong-key', await createKey(client, { role: 'viewer' })]) {
    const args = ['worker', 'double.ts', '-q', 'a', '--url', server.url, '--key', key]
    const { code, stderr } = await runOctoflow(t, args, { cwd })
    assert.equal(code, 4)
    assert.match(
      stderr,
      key === 'wrong-key' ? /does not accept the key from --key\./ : /has the role viewer; this needs worker/,
    )
    assert.match(stderr, /\nGive a key with the role worker/)
  }
})

test('A worker that starts before its server waits for it.', async (t) => {
  const { server } = await startOctoflow(t)
  const { port, data, url } = server
  await server.stop()
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'double.ts'), HANDLER)
  const worker = octoflow(t, ['worker', 'double.ts', '-q', 'a', '--url', url, '--key', KEY], { cwd })
  await worker.says(/The server cannot serve this worker; trying until it can/, 'stderr')
  await startOctoflow(t, { data, flags: ['--port', String(port)] })
  const { code } = await runOctoflow(t, ['submit', 'a', '{"n":1}', '--wait', '--url', url, '--key', KEY])
  assert.equal(code, 0)
})
