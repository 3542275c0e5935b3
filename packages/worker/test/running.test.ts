import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Isolation } from '../src/options.ts'
import { HangUps } from './support/hang-ups.ts'
import { HttpServer, KEY } from './support/http-server.ts'
import { MemoryServer } from './support/memory-server.ts'

interface Program {
  readonly server: MemoryServer
  readonly hangUps: HangUps
  readonly child: ChildProcess
  /** What it has written to stderr. */
  readonly output: () => string
  /** Code and signal it ended with. */
  readonly exit: Promise<readonly [number | null, NodeJS.Signals | null]>
}

/** A worker in a process, and process group, of its own, under way with a job that waits to be told. */
async function runProgram(t: TestContext, isolation: Isolation, task: 'wait' | 'hang' = 'wait'): Promise<Program> {
  const server = new MemoryServer()
  const http = new HttpServer(server)
  await http.start()
  const hangUps = await HangUps.listen(t)
  server.submit('q', { do: task, port: hangUps.port })
  const child = spawn(process.execPath, [fileURLToPath(new URL('./handlers/run-worker.ts', import.meta.url))], {
    env: { ...process.env, WORKER_URL: http.url, WORKER_KEY: KEY, WORKER_ISOLATION: isolation },
    stdio: ['ignore', 'inherit', 'pipe'],
    detached: true,
  })
  let output = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output += text
    server.changed()
  })
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  t.after(async () => {
    child.kill('SIGKILL')
    await exit
    await http.stop()
  })
  await hangUps.untilOpen()
  return { server, hangUps, child, output: () => output, exit }
}

for (const isolation of ['inline', 'thread', 'process'] as const)
  test(`[${isolation}] On SIGTERM the worker finishes its job, takes no other and exits cleanly.`, async (t) => {
    const { server, hangUps, child, output, exit } = await runProgram(t, isolation)
    const [job] = server.jobs.values()
    child.kill('SIGTERM')
    await server.until(() => output().includes('The worker is stopping.'))
    const late = server.submit('q', { do: 'echo' })
    hangUps.tell()
    assert.deepEqual(await exit, [0, null])
    assert.equal(job!.result, 'told')
    assert.equal(late.state, 'pending')
    assert.match(output(), /^\S+Z INFO {2}The worker has stopped\. workerId=\S+\n$/m)
  })

for (const isolation of ['inline', 'thread', 'process'] as const)
  test(`[${isolation}] On Ctrl+C twice the worker gives its job back and exits cleanly.`, async (t) => {
    const { server, child, output, exit } = await runProgram(t, isolation)
    const [job] = server.jobs.values()
    // The terminal sends it to the whole group.
    process.kill(-child.pid!, 'SIGINT')
    await server.until(() => output().includes('The worker is stopping.'))
    assert.equal(job!.state, 'running')
    process.kill(-child.pid!, 'SIGINT')
    assert.deepEqual(await exit, [0, null])
    assert.deepEqual(job!.outcomes, ['released'])
  })

test('[process] When the worker is killed its children end, though their handlers never pause.', async (t) => {
  const { hangUps, child, exit } = await runProgram(t, 'process', 'hang')
  child.kill('SIGKILL')
  assert.deepEqual(await exit, [null, 'SIGKILL'])
  await hangUps.untilClosed()
})

test('A worker that the server refuses exits with the error.', async (t) => {
  const http = new HttpServer(new MemoryServer())
  await http.start()
  t.after(() => http.stop())
  const child = spawn(process.execPath, [fileURLToPath(new URL('./handlers/run-worker.ts', import.meta.url))], {
    env: { ...process.env, WORKER_URL: http.url, WORKER_KEY: 'wrong', WORKER_ISOLATION: 'inline' },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let output = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  assert.deepEqual(await once(child, 'close'), [1, null])
  assert.match(output, /TransportError: http:\/\/\S+ answered 401 \(unauthorized\)\. No valid credential was sent\./)
})
