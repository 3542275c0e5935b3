import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../support/owner.ts'
import { CHECKOUT, Command, octoflow, runOctoflow } from './command.ts'

const QUICKSTART = ['--app', 'examples/quickstart', '--handlers', 'workers']

test('npm start prints three commands that do what they say when they are pasted into a shell.', async (t) => {
  const data = temporaryDirectory(t)
  const server = new Command(t, ['npm', 'start', '--', '--port', '0', '--data', data], { cwd: CHECKOUT })
  const [, url] = await server.says(/listening on (http:\/\/127\.0\.0\.1:\d+)\n/)
  await server.says(/queues list.*\n/)
  const [, key] = await server.says(/^ {2}key +(\S+)$/m)
  assert.equal(readFileSync(join(data, 'key'), 'utf8').trim(), key)
  assert.equal((await fetch(`${url}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } })).status, 200)

  const lines = server.stdout.split('\n').filter((line) => /^ {2}npx octoflow /.test(line))
  assert.equal(lines.length, 3, server.stdout)
  const [submitted, shown, listed] = await pasteAll(lines)
  assert.match(submitted!, /^completed {2}job 1 in .*\n\{\n {2}"greeting": "Hello, Ada!"\n\}\n$/)
  assert.match(
    shown!,
    /^Job 1 {2}completed\n.*\nResult\n {2}\{\n {4}"greeting": "Hello, Ada!"\n.*\nTimeline\n.*Job completed\n$/s,
  )
  assert.match(listed!, /^QUEUE .*COMPLETED.*\ngreet .* 1 /)

  server.signal('SIGINT')
  await server.ended
  assert.ok(!existsSync(join(data, 'server.json')))

  /** In an order, since one follows from the other. */
  async function pasteAll(commands: readonly string[]): Promise<readonly string[]> {
    const outputs: string[] = []
    for (const command of commands) {
      const { code, stdout, stderr } = await new Command(t, ['sh', '-c', command], { cwd: CHECKOUT }).ended
      assert.deepEqual([code, stderr], [0, ''], command)
      outputs.push(stdout)
    }
    return outputs
  }
})

test('Both handlers of the quickstart run inside the server.', async (t) => {
  const data = temporaryDirectory(t)
  const server = octoflow(t, ['serve', ...QUICKSTART, '--port', '0', '--data', data], { cwd: CHECKOUT })
  await server.says(/queues list/)
  const imported = await runOctoflow(t, ['submit', 'import', '{"rows":2}', '--wait', '--data', data])
  assert.deepEqual([imported.code, imported.stdout.slice(imported.stdout.indexOf('{'))], [0, '{\n  "imported": 2\n}\n'])
  const events = await runOctoflow(t, ['jobs', 'events', 'last', '--data', data])
  assert.match(events.stdout, /Importing 2 rows.*row 1\n.*row 2\n/s)
  server.signal('SIGTERM')
  assert.equal((await server.ended).code, 0)
})

test('The first start makes a key for its owner alone and prints it; later starts print where it lies.', async (t) => {
  const cwd = temporaryDirectory(t)
  const printed: string[] = []
  for (let start = 1; start <= 2; start++) {
    const server = octoflow(t, ['serve', '--port', '0'], { cwd })
    await server.says(/queues list/)
    printed.push(server.stdout)
    server.signal('SIGTERM')
    assert.equal((await server.ended).code, 0)
  }
  const path = join(cwd, 'data', 'key')
  const key = readFileSync(path, 'utf8').trim()
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(
    printed.map((text) => text.includes(key)),
    [true, false],
  )
  for (const text of printed) assert.match(text, /^ {2}(?:key|kept in) +data\/key\b/m)
})
