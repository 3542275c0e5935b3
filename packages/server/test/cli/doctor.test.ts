import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import { checkNode } from '../../src/cli/doctor/index.ts'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { writeServerFile } from '../../src/cli/server-file.ts'
import { openSqlite } from '../../src/storage/drivers/sqlite/index.ts'
import { CommandLine } from './support/command-line.ts'
import { KEY, startServer } from './support/server.ts'

interface Examined {
  readonly code: number
  readonly ok: boolean
  readonly findings: readonly Finding[]
}

async function examine(cli: CommandLine, ...args: readonly string[]): Promise<Examined> {
  const { code, out } = await cli.run('doctor', '--json', ...args)
  return { code, ...(JSON.parse(out) as Omit<Examined, 'code'>) }
}

/** Holds the one finding of a check that is not `ok` against what is expected. */
function assertFinds({ code, ok, findings }: Examined, check: string, status: 'warning' | 'problem', message: RegExp): void {
  const bad = findings.filter((finding) => finding.status !== 'ok')
  assert.deepEqual(
    bad.map((finding) => [finding.check, finding.status]),
    [[check, status]],
    JSON.stringify(bad),
  )
  assert.match(bad[0]!.message, message)
  assert.ok((bad[0]!.hint ?? '') !== '', 'it says how to mend it')
  assert.deepEqual([code, ok], status === 'problem' ? [ExitCode.failed, false] : [ExitCode.ok, true])
}

/** A directory in which a server could start, on a port of the system's choice. */
const site = (t: TestContext, env: Readonly<Record<string, string>> = {}): CommandLine =>
  new CommandLine(t, { PORT: '0', ...env })

/** A data directory with a database in it. */
async function withDatabase(t: TestContext): Promise<CommandLine> {
  const cli = site(t)
  mkdirSync(cli.path('data'))
  const storage = openSqlite({ path: cli.path('data', 'octoflow.db'), exclusive: false, onError: assert.fail })
  await storage.migrations.migrate({ now: 0 })
  await storage.close()
  return cli
}

test('Where all is well, every line says so, and nothing is left behind.', async (t) => {
  const cli = site(t)
  const { code, out } = await cli.run('doctor')
  assert.equal(code, ExitCode.ok)
  for (const line of out.trimEnd().split('\n')) assert.match(line, /^✓ [\w. ]+ {2}\S/)
  for (const check of ['Node.js', 'configuration', 'data directory', 'clock', 'database', 'keys', 'server', 'port', 'handlers'])
    assert.ok(out.includes(`✓ ${check} `), check)
  assert.deepEqual(readdirSync(cli.cwd), [])
})

test('A problem is shown with how to mend it, and gives exit code 1.', async (t) => {
  const cli = site(t)
  writeFileSync(cli.path('data'), 'a file')
  const { code, out } = await cli.run('doctor')
  assert.equal(code, ExitCode.failed)
  assert.match(out, /\n✗ data directory {2}\S+ cannot be used: .* is not a directory\.\n {18}→ Make it a directory/)
})

test('Of a data directory that cannot be used, no line says that all is well with what would lie in it.', async (t) => {
  const file = site(t)
  writeFileSync(file.path('data'), 'a file')
  const below = site(t, { DATA_PATH: 'file/below' })
  writeFileSync(below.path('file'), 'a file')
  for (const [cli, reason] of [
    [file, /data is not a directory/],
    [below, /file is not a directory/],
  ] as const) {
    const { code, findings } = await examine(cli)
    assert.equal(code, ExitCode.failed)
    for (const check of ['data directory', 'database', 'keys']) {
      const [finding, ...more] = findings.filter((candidate) => candidate.check === check)
      assert.deepEqual([finding?.status, more], ['problem', []], `${check}: ${finding?.message}`)
      assert.match(finding!.message, reason)
    }
  }
  assert.deepEqual(readdirSync(below.cwd), ['file'])
})

test('What does not lie in a data directory that cannot be used is looked at for itself.', async (t) => {
  const cli = site(t, { AUTHORIZATION_KEY: KEY })
  writeFileSync(cli.path('data'), 'a file')
  const { findings } = await examine(cli, '--database-url', `sqlite:${cli.path('other.db')}`)
  const status = (check: string): unknown => findings.find((finding) => finding.check === check)?.status
  assert.deepEqual(['data directory', 'database', 'keys'].map(status), ['problem', 'ok', 'ok'])
})

test('Node.js must be new enough.', () => {
  assert.deepEqual(
    ['24.12.0', '26.0.0'].map((version) => checkNode(version).status),
    ['ok', 'ok'],
  )
  assert.deepEqual(
    ['20.19.5', '24.11.9', '9.99.0'].map((version) => checkNode(version).status),
    ['problem', 'problem', 'problem'],
  )
})

test('Each problem of the configuration is a finding, and the rest is not looked at.', async (t) => {
  const { code, findings } = await examine(site(t, { OCTOFLOW_NONSENSE: '1' }), '--host', '')
  assert.equal(code, ExitCode.failed)
  assert.deepEqual(
    findings.filter(({ status }) => status === 'problem').map(({ check }) => check),
    ['configuration', 'configuration'],
  )
  assert.match(findings.at(-1)!.message, /was not looked at/)
})

test('What no longer means anything in the environment is a warning.', async (t) => {
  assertFinds(await examine(site(t, { FLASK_APP: 'x' })), 'configuration', 'warning', /FLASK_APP/)
})

test('A sound database is told with its schema, beside a server that uses it too.', async (t) => {
  const cli = await withDatabase(t)
  const using = new DatabaseSync(cli.path('data', 'octoflow.db'))
  t.after(() => using.close())
  using.exec('BEGIN IMMEDIATE')
  const { ok, findings } = await examine(cli)
  assert.ok(ok)
  assert.match(findings.find(({ check }) => check === 'database')!.message, /octoflow\.db, sound, schema version \d+$/)
  assert.match(findings.find(({ check }) => check === 'database size')!.message, /KiB, its write-ahead log/)
})

test('A database in memory is a warning.', async (t) => {
  assertFinds(await examine(site(t), '--database-url', 'sqlite::memory:'), 'database', 'warning', /is in memory/)
})

test('A database URL that its driver does not understand is a problem, and its password is not shown.', async (t) => {
  const examined = await examine(site(t), '--database-url', 'mysql://u:secret@host/db?nonsense=1')
  assertFinds(examined, 'database', 'problem', /has the parameter nonsense/)
  assert.ok(!JSON.stringify(examined).includes('secret'))
})

test('A PostgreSQL server that does not answer is a problem, and its password is not shown.', async (t) => {
  const examined = await examine(site(t), '--database-url', 'postgres://u:secret@127.0.0.1:1/db')
  assertFinds(examined, 'database', 'problem', /cannot be reached at the moment\. \(connect ECONNREFUSED/)
  assert.ok(!JSON.stringify(examined).includes('secret'))
})

test('A file that is no database is a problem.', async (t) => {
  const cli = site(t)
  mkdirSync(cli.path('data'))
  writeFileSync(cli.path('data', 'octoflow.db'), 'This is a text, and not a database at all.'.repeat(100))
  assertFinds(await examine(cli), 'database', 'problem', /not in SQLite’s format/)
})

test('A database of another program is a problem.', async (t) => {
  const cli = site(t)
  mkdirSync(cli.path('data'))
  const other = new DatabaseSync(cli.path('data', 'octoflow.db'))
  other.exec('CREATE TABLE songs (name TEXT)')
  other.close()
  assertFinds(await examine(cli), 'database', 'problem', /another program’s tables/)
})

test('A database of a newer version is a problem.', async (t) => {
  const cli = await withDatabase(t)
  const database = new DatabaseSync(cli.path('data', 'octoflow.db'))
  database.exec('PRAGMA user_version = 9999')
  database.close()
  assertFinds(await examine(cli), 'database', 'problem', /9999/)
})

test('A damaged database is a problem.', async (t) => {
  const cli = await withDatabase(t)
  const database = new DatabaseSync(cli.path('data', 'octoflow.db'))
  database.enableDefensive(false)
  database.exec("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = rootpage + 1 WHERE type = 'index'")
  database.close()
  assertFinds(await examine(cli), 'database', 'problem', /damaged/)
})

test('A database written in the future shows that the clock was set back.', async (t) => {
  const cli = await withDatabase(t)
  const future = Date.now() / 1_000 + 7_200
  utimesSync(cli.path('data', 'octoflow.db'), future, future)
  assertFinds(await examine(cli), 'clock', 'warning', /written .* from now/)
})

test('A key file that others can read is a problem, and so is a well-known key.', {
  skip: process.platform === 'win32',
}, async (t) => {
  const cli = site(t)
  mkdirSync(cli.path('data'))
  writeFileSync(cli.path('data', 'key'), 'a-key-of-my-own\n', { mode: 0o600 })
  assert.ok((await examine(cli)).ok)
  chmodSync(cli.path('data', 'key'), 0o644)
  assertFinds(await examine(cli), 'keys', 'problem', /can be read by others/)
  chmodSync(cli.path('data', 'key'), 0o600)
  writeFileSync(cli.path('data', 'key'), 'default_key\n')
  assertFinds(await examine(cli), 'keys', 'problem', /well-known/)
})

test('Security that is disabled is a warning.', async (t) => {
  assertFinds(await examine(site(t, { DISABLE_SECURITY: 'True' })), 'keys', 'warning', /Security is disabled/)
})

test('A port that another program has is a problem.', async (t) => {
  const other = createTcpServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  assertFinds(await examine(site(t), '--port', String(port)), 'port', 'problem', /is taken by another program/)
})

test('A running server is found ready, on its port, with a key that it accepts.', async (t) => {
  const { http } = await startServer(t)
  const cli = site(t, { AUTHORIZATION_KEY: KEY })
  writeServerFile(cli.path('data'), { url: http.url!, pid: process.pid })
  const { ok, findings } = await examine(cli)
  assert.ok(ok, JSON.stringify(findings))
  const messages = findings.map(({ message }) => message)
  assert.ok(messages.some((message) => message.startsWith(`runs at ${http.url} (process ${process.pid}) and is ready`)))
  assert.ok(messages.includes('the server accepts the one from AUTHORIZATION_KEY in the environment'))
  assert.ok(messages.includes(`the server listens on ${new URL(http.url!).port}`))
})

test('A key that the running server does not accept is a problem.', async (t) => {
  const { http } = await startServer(t)
  const cli = site(t, { AUTHORIZATION_KEY: 'another-key' })
  writeServerFile(cli.path('data'), { url: http.url!, pid: process.pid })
  assertFinds(await examine(cli), 'keys', 'problem', /does not accept the key from AUTHORIZATION_KEY/)
})

test('A server that does not answer is a problem; one that was ended by force is a warning.', async (t) => {
  const cli = site(t)
  const url = 'http://127.0.0.1:2'
  writeServerFile(cli.path('data'), { url, pid: process.pid })
  assertFinds(await examine(cli), 'server', 'problem', /does not answer: the connection is refused/)
  writeServerFile(cli.path('data'), { url, pid: 999_999_999 })
  assertFinds(await examine(cli), 'server', 'warning', /ended by force/)
})

test('Handlers that cannot be loaded are problems, each by its file.', async (t) => {
  const cli = site(t)
  mkdirSync(cli.path('workers'))
  assertFinds(await examine(cli, '--handlers', 'workers'), 'handlers', 'warning', /There is none in/)
  assertFinds(await examine(cli, '--handlers', 'nowhere'), 'handlers', 'problem', /nowhere/)
  writeFileSync(cli.path('workers', 'good.ts'), 'export const process = async (): Promise<number> => 1\n')
  writeFileSync(cli.path('workers', 'bad.ts'), 'export const run = 1\n')
  assertFinds(
    await examine(cli, '--handlers', 'workers'),
    'handlers',
    'problem',
    /bad\.ts cannot be loaded: it exports no function named "process"/,
  )
})
