import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { type Owner, temporaryDirectory } from '../support/owner.ts'
import { type Command, type CommandOptions, octoflow, runOctoflow } from './command.ts'

/** A server that has said all it has to say at its start. */
async function serve(owner: Owner, args: readonly string[], options: CommandOptions = {}): Promise<Command> {
  const server = octoflow(owner, ['serve', '--port', '0', ...args], options)
  await server.says(/queues list.*\n/)
  return server
}

const addressOf = ({ stdout }: Command): string => /listening on (\S+)/.exec(stdout)![1]!

test('While it runs, server.json says where it is; a clean stop removes it.', async (t) => {
  const cwd = temporaryDirectory(t)
  const server = await serve(t, [], { cwd })
  const file = join(cwd, 'data', 'server.json')
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { url: addressOf(server), pid: server.pid })
  server.signal('SIGTERM')
  const { code, stderr } = await server.ended
  assert.equal(code, 0)
  assert.match(stderr, /"signal":"SIGTERM","msg":"stopping"/)
  assert.ok(!existsSync(file))
})

test('Exactly one line of standard output says where it listens.', async (t) => {
  const { stdout } = await serve(t, [])
  assert.equal(stdout.match(/listening on http:\/\/127\.0\.0\.1:\d+/g)?.length, 1)
  assert.match(stdout, /^Octoflow \S+ listening on http:\/\/127\.0\.0\.1:\d+\n/)
})

test('With --json, one document says where it listens and where its key lies.', async (t) => {
  const cwd = temporaryDirectory(t)
  const server = octoflow(t, ['serve', '--port', '0', '--json'], { cwd })
  await server.says(/\n/)
  const { url, message, version, key, ...rest } = JSON.parse(server.stdout) as Readonly<Record<string, string>>
  assert.equal(message, `Octoflow ${version} listening on ${url}`)
  assert.equal(key, readFileSync(join(cwd, 'data', 'key'), 'utf8').trim(), 'it was made just now')
  assert.deepEqual(rest, {
    pid: server.pid,
    roles: ['api', 'worker', 'maintenance'],
    keyFile: join(cwd, 'data', 'key'),
    handlers: [],
  })
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  server.signal('SIGTERM')
  await server.ended
  assert.equal(server.stdout.split('\n').length, 2, 'nothing else is printed')
  const again = octoflow(t, ['serve', '--port', '0', '--json', '--roles', 'maintenance'], { cwd })
  await again.says(/\n/)
  const { url: none, message: words, key: shown, keyFile } = JSON.parse(again.stdout) as Readonly<Record<string, unknown>>
  assert.deepEqual([none, shown, keyFile], [null, null, null])
  assert.match(String(words), /running without an API$/)
})

test('A job in hand is finished before the server stops; a second signal ends it at once.', async (t) => {
  for (const signals of [1, 2]) {
    const cwd = temporaryDirectory(t)
    mkdirSync(join(cwd, 'workers'))
    const slow = `import { setTimeout } from 'node:timers/promises'
      export async function process() { console.log('at work'); await setTimeout(${signals === 1 ? 300 : 60_000}); return 1 }`
    writeFileSync(join(cwd, 'workers', 'slow.ts'), slow)
    const server = await serve(t, ['--handlers', 'workers'], { cwd })
    await runOctoflow(t, ['submit', 'slow'], { cwd })
    await server.says(/at work\n/)
    server.signal('SIGINT')
    await server.says(/"msg":"stopping"/, 'stderr')
    if (signals === 2) server.signal('SIGINT')
    assert.equal((await server.ended).code, signals === 1 ? 0 : 130)
    const again = await serve(t, [], { cwd })
    const { stdout } = await runOctoflow(t, ['jobs', 'show', 'last', '--json'], { cwd })
    assert.equal((JSON.parse(stdout) as { state: string }).state, signals === 1 ? 'completed' : 'running')
    again.signal('SIGTERM')
    await again.ended
  }
})

test('Without the role api it works through what waits, and listens nowhere.', async (t) => {
  const cwd = temporaryDirectory(t)
  mkdirSync(join(cwd, 'workers'))
  writeFileSync(join(cwd, 'workers', 'hi.ts'), "export const process = () => console.log('at work')\n")
  const first = await serve(t, ['--roles', 'api', '--handlers', 'workers'], { cwd })
  assert.doesNotMatch(first.stdout, /handlers/)
  await runOctoflow(t, ['submit', 'hi'], { cwd })
  first.signal('SIGTERM')
  await first.ended
  const worker = octoflow(t, ['serve', '--port', '0', '--roles', 'worker', '--handlers', 'workers'], { cwd })
  await worker.says(/at work\n/)
  assert.match(worker.stdout, /^Octoflow \S+ running without an API\n\n {2}roles +worker\n {2}handlers +hi\n/)
  assert.ok(!existsSync(join(cwd, 'data', 'server.json')))
  worker.signal('SIGTERM')
  assert.equal((await worker.ended).code, 0)
  await serve(t, [], { cwd })
  const { stdout } = await runOctoflow(t, ['jobs', 'show', 'last', '--json'], { cwd })
  assert.equal((JSON.parse(stdout) as { state: string }).state, 'completed')
})

test('A role that there is not stops the start, with the one that was meant.', async (t) => {
  const { code, stderr } = await runOctoflow(t, ['serve', '--roles', 'api,workers'])
  assert.notEqual(code, 0)
  assert.match(stderr, /--roles.*server\.roles names "workers".*Did you mean worker\?/)
})

test('A hang-up and a reader that goes away do not end it.', async (t) => {
  const server = await serve(t, [])
  server.closeOutput()
  server.signal('SIGHUP')
  assert.equal((await fetch(`${addressOf(server)}/healthz`)).status, 200)
  server.signal('SIGTERM')
  assert.equal((await server.ended).code, 0)
})

test('It says plainly by which key it goes.', async (t) => {
  const AUTHORIZATION_KEY = 'a-key-from-the-environment'
  const configured = await serve(t, [], { env: { AUTHORIZATION_KEY } })
  assert.match(configured.stdout, /\n {2}key +the one configured: AUTHORIZATION_KEY in the environment\n/)
  assert.match(configured.stdout, /\nPaste into another terminal, with AUTHORIZATION_KEY set there too:\n/)
  assert.ok(!configured.stdout.includes(AUTHORIZATION_KEY))
  const open = await serve(t, [], { env: { DISABLE_SECURITY: 'True' } })
  assert.match(open.stdout, /\n {2}key +none: security is disabled, everybody on this machine may do everything\n/)
})

test('A key that others can read is warned of once, with what mends it.', async (t) => {
  const cwd = temporaryDirectory(t)
  const path = join(cwd, 'data', 'key')
  mkdirSync(join(cwd, 'data'))
  writeFileSync(path, 'a key that came from elsewhere'.replaceAll(' ', '-'), { mode: 0o644 })
  const warnings = async (): Promise<readonly string[]> => {
    const server = await serve(t, [], { cwd })
    server.signal('SIGTERM')
    const { stderr } = await server.ended
    return stderr.split('\n').filter((line) => line.includes('chmod 600'))
  }
  assert.deepEqual(
    (await warnings()).map((line) => (JSON.parse(line) as { path: string }).path),
    [path],
  )
  chmodSync(path, 0o600)
  assert.deepEqual(await warnings(), [])
})

test('The commands it prints name whatever is not where they would look for it.', async (t) => {
  const cwd = temporaryDirectory(t)
  mkdirSync(join(cwd, 'my app', 'workers'), { recursive: true })
  writeFileSync(join(cwd, 'my app', '.env'), 'API_TOKEN=a-key-from-the-app\n')
  writeFileSync(
    join(cwd, 'my app', 'workers', 'hi.ts'),
    'export const example = { name: "O\'Hara" }\nexport const process = ({ body }) => body.name\n',
  )
  const server = await serve(t, ['--app', 'my app', '--handlers', 'workers', '--data', 'state'], { cwd })
  const [submit = '', ...others] = server.stdout.split('\n').filter((line) => line.startsWith('  octoflow '))
  assert.equal(submit, `  octoflow submit hi '{"name":"O'\\''Hara"}' --wait --data state --app 'my app'`)
  assert.equal(others.length, 2)
  const words = ['submit', 'hi', '{"name":"O\'Hara"}', '--wait', '--data', 'state', '--app', 'my app']
  assert.match((await runOctoflow(t, words, { cwd })).stdout, /\n"O'Hara"\n$/)
})

test('What keeps it from starting gives exit code 7, one line that says why, and how to mend it.', async (t) => {
  const { server } = await startOctoflow(t)
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'file'), '')
  mkdirSync(join(cwd, 'workers'))
  writeFileSync(join(cwd, 'workers', 'bad.ts'), 'export const run = 1\n')
  for (const [args, why] of [
    [['--port', String(server.port)], /Port \d+ on 127\.0\.0\.1 is taken by another program\./],
    [['--port', '0', '--data', server.data], /Another Octoflow server is using /],
    [['--port', '0', '--data', 'file/data'], /The data directory .*file\/data/],
    [['--port', '0', '--handlers', 'nowhere'], /nowhere cannot be used/],
    [['--port', '0', '--handlers', 'workers'], /bad\.ts cannot be used: .* does not export a function named "process"/],
    [['--port', 'x'], /--port: server\.port is "x"/],
    [['--port', '0', '--database-url', 'mysql://u:secret@host/db?nonsense=1'], /has the parameter nonsense/],
  ] as const) {
    const { code, stdout, stderr } = await runOctoflow(t, ['serve', ...args], { cwd })
    assert.deepEqual([code, stdout], [7, ''], stderr)
    const said = stderr.replace(/^\{.*\n/gm, '')
    assert.match(said, /^octoflow: /, args.join(' '))
    assert.match(said, why)
    assert.doesNotMatch(said, /\n {4}at |secret|\.\.\n/)
  }
})
