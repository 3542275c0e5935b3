import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { copyAll } from '../../src/core/transfer/copy.ts'
import { SystemClock } from '../../src/lib/clock.ts'
import { MINUTE } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openSqlite } from '../../src/storage/drivers/sqlite/index.ts'
import { newRequest } from '../conformance/harness.ts'
import { CommandLine } from './support/command-line.ts'

/** A directory with a database `a.db` that holds so many jobs. */
async function withDatabase(t: TestContext, jobs: number): Promise<CommandLine> {
  const cli = new CommandLine(t)
  const storage = openSqlite({ path: cli.path('a.db'), onError: assert.fail })
  await storage.migrations.migrate({ now: 0 })
  await storage.requests.submit({ now: 1, items: Array.from({ length: jobs }, () => newRequest()) })
  await storage.close()
  return cli
}

interface Copied {
  readonly equal: boolean
  readonly kinds: readonly { readonly kind: string; readonly count: number; readonly checksum: string }[]
}

const copy = ['db', 'copy', '--from', 'sqlite:a.db', '--to', 'sqlite:b.db']

test('A copy ends with equal counts and checksums, and says how to go on.', async (t) => {
  const cli = await withDatabase(t, 3)
  const { code, out } = await cli.run(...copy)
  assert.equal(code, ExitCode.ok)
  assert.match(out, /^request +3 {2}[0-9a-f]{16}$/m)
  assert.match(out, /All is copied and equal\. Start the servers with DATABASE_URL=sqlite:.*b\.db$/m)
  const back = await cli.json<Copied>('db', 'copy', '--from', 'sqlite:b.db', '--to', 'sqlite:c.db')
  assert.equal(back.equal, true)
  for (const { kind, count, checksum } of back.kinds)
    assert.match(out, new RegExp(`^${kind} +${count} {2}${checksum}$`, 'm'), kind)
})

test('A copy that is interrupted says so, keeps servers away, and is finished by the same command.', async (t) => {
  const cli = await withDatabase(t, 2_000)
  const running = cli.start(copy, { columns: 80 })
  await running.err.until(/Copying/)
  running.signal('SIGINT')
  const { code, err } = await running.ended
  assert.equal(code, ExitCode.interrupted)
  assert.match(err, /was interrupted\.\nThe same command goes on where it stopped/)

  const { copyOf } = await cli.json<{ copyOf: string }>('db', 'status', '--database-url', `sqlite:${cli.path('b.db')}`)
  assert.equal(copyOf, `sqlite:${cli.path('a.db')}`)
  const started = await cli.run('serve', '--port', '0', '--database-url', `sqlite:${cli.path('b.db')}`)
  assert.equal(started.code, ExitCode.config)
  assert.match(started.err, /half of a copy of sqlite:/)

  const { equal, kinds } = await cli.json<Copied>(...copy)
  assert.equal(equal, true)
  assert.equal(kinds.find(({ kind }) => kind === 'request')?.count, 2_000)
})

test('The lease of a copy that was killed keeps nobody from finishing it.', async (t) => {
  const cli = await withDatabase(t, 1)
  for (const name of ['a.db', 'b.db']) {
    const storage = openSqlite({ path: cli.path(name), onError: assert.fail })
    const now = new SystemClock().now()
    await storage.migrations.migrate({ now })
    await storage.leader.acquire({ now, holder: 'octoflow db, killed', until: now + MINUTE })
    await storage.close()
  }
  const { code, err } = await cli.run(...copy)
  assert.equal(code, ExitCode.ok, err)
})

test('A copy whose source went on meanwhile differs, and no server starts on it.', async (t) => {
  const cli = await withDatabase(t, 2_000)
  const [source, target] = ['a.db', 'b.db'].map((name) => openSqlite({ path: cli.path(name), onError: assert.fail })) as [
    Storage,
    Storage,
  ]
  await target.migrations.migrate({ now: 1 })
  const stop = new AbortController()
  const onProgress = (done: number): void => {
    if (done > 600) stop.abort()
  }
  await copyAll(source, target, { now: () => 1, source: `sqlite:${cli.path('a.db')}`, signal: stop.signal, onProgress })
  await source.jobs.cancel({ now: 2, ids: [1], reason: 'not needed', note: '' })
  await Promise.all([source.close(), target.close()])
  for (const _ of ['first', 'again']) {
    const differs = await cli.run(...copy)
    assert.equal(differs.code, ExitCode.failed)
    assert.match(differs.err, /differs from its source/)
  }
  const started = await cli.run('serve', '--port', '0', '--database-url', `sqlite:${cli.path('b.db')}`)
  assert.equal(started.code, ExitCode.config)
  assert.match(started.err, /half of a copy of sqlite:/)
})

test('What cannot be copied is told before anything is written.', async (t) => {
  const cli = await withDatabase(t, 1)
  const missing = await cli.run('db', 'copy', '--from', 'sqlite:no.db', '--to', 'sqlite:b.db')
  assert.equal(missing.code, ExitCode.notFound)
  assert.equal(existsSync(cli.path('no.db')), false)
  const same = await cli.run('db', 'copy', '--from', 'sqlite:a.db', '--to', 'sqlite:./a.db')
  assert.equal(same.code, ExitCode.usage)
  const nonsense = await cli.run('db', 'copy', '--from', 'a.db', '--to', 'sqlite:b.db')
  assert.equal(nonsense.code, ExitCode.usage)
  assert.match(nonsense.err, /--from/)
  assert.equal((await cli.run(...copy)).code, ExitCode.ok)
  const twice = await cli.run(...copy)
  assert.equal(twice.code, ExitCode.config)
  assert.match(twice.err, /is not empty/)
})

test('A database that a server uses is not copied.', async (t) => {
  const cli = await withDatabase(t, 1)
  const inUse = openSqlite({ path: cli.path('a.db'), exclusive: true, onError: assert.fail })
  t.after(() => inUse.close())
  const { code, err } = await cli.run(...copy)
  assert.equal(code, ExitCode.config)
  assert.match(err, /Another Octoflow server is using/)
})

test('The status tells the schema of a database and makes none.', async (t) => {
  const cli = await withDatabase(t, 1)
  const url = `sqlite:${cli.path('a.db')}`
  const { schema, bytes } = await cli.json<{ schema: { version: number; latest: number }; bytes: number }>(
    'db',
    'status',
    '--database-url',
    url,
  )
  assert.equal(schema.version, schema.latest)
  assert.ok(bytes > 0)
  const { out } = await cli.run('db', 'status')
  assert.match(out, /none yet/)
  assert.equal(existsSync(cli.path('data', 'octoflow.db')), false)
})

test('A migration brings an empty database up to date, and a second one has nothing to do.', async (t) => {
  const cli = new CommandLine(t)
  const first = await cli.run('db', 'migrate', '--database-url', 'sqlite:new.db')
  assert.equal(first.code, ExitCode.ok)
  assert.match(first.out, /is up to date \(applied 1/)
  assert.match((await cli.run('db', 'migrate', '--database-url', 'sqlite:new.db')).out, /was up to date already/)
})
