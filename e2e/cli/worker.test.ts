import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
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

test('A file that cannot be used gives exit code 7 and says why, before any work is announced.', async (t) => {
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'none.ts'), 'export const run = 1\n')
  writeFileSync(join(cwd, 'broken.ts'), 'export const process = (\n')
  for (const [file, why] of [
    ['missing.ts', /missing\.ts cannot be loaded/],
    ['none.ts', /does not export a function named "process"\. It exports run\./],
    ['broken.ts', /broken\.ts cannot be loaded/],
  ] as const) {
    const { code, stdout, stderr } = await runOctoflow(t, ['worker', file, '-q', 'x', '--url', 'http://127.0.0.1:2'], { cwd })
    assert.deepEqual([code, stdout], [7, ''], file)
    assert.match(stderr, why)
    assert.doesNotMatch(stderr, /\n {4}at /)
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
    assert.match(stderr, /Give a key with the role worker/)
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
