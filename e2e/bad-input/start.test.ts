import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { makeReadOnly } from '../support/disks.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { type Owner, temporaryDirectory, whenDone } from '../support/owner.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { failToStart, type StartOptions } from '../support/server-process.ts'

/**
 * What lies below a path: every name, with a digest of what is in it. SQLite's shared memory is left out: whoever looks at a
 * database leaves a mark there. The digests are made by another process, since to close a file here would take away the
 * locks that a database opened by the test has on it.
 */
function contents(path: string): string {
  if (!existsSync(path)) return 'nothing'
  const names = execFileSync('find', [path, '!', '-name', '*-shm'], { encoding: 'utf8' })
  return (
    names +
    execFileSync('find', [path, '-type', 'f', '!', '-name', '*-shm', '-exec', 'sha256sum', '{}', '+'], { encoding: 'utf8' })
  )
}

/** A start that gives up with a message of `says`, all of them, and leaves the data directory as it was. */
async function assertRefused(
  t: Owner,
  options: StartOptions & { readonly data: string },
  says: readonly RegExp[],
): Promise<void> {
  const before = contents(options.data)
  const { code, signal, stdout, stderr } = await failToStart(t, options)
  assert.equal(code, 7, `${signal} ${stdout}${stderr}`)
  for (const pattern of says) assert.match(stderr, pattern)
  assert.doesNotMatch(stderr, /^\s+at |node:internal|\.ts:\d/m, 'no stack trace')
  assert.ok(stderr.split('\n').length < 10, stderr)
  assert.doesNotMatch(stdout, /listening/)
  assert.deepEqual(contents(options.data), before, 'it touches nothing')
}

/** A data directory with the database of a server that has stopped, and one job in it. */
async function usedDirectory(t: Owner): Promise<{ readonly data: string; readonly database: string }> {
  const { client, server } = await startOctoflow(t)
  assert.equal((await client.post('/request?custom_value=App', { json: { n: 1 } })).status, 200)
  await server.stop()
  return { data: server.data, database: join(server.data, 'octoflow.db') }
}

test('A data directory that is read-only stops the start.', async (t) => {
  const data = temporaryDirectory(t)
  const obstacle = makeReadOnly(t, data)
  if (obstacle !== null) return skipUnlessCi(t, obstacle.missing)
  await assertRefused(t, { data }, [/data directory/, new RegExp(data), /--data|writ/])
})

test('A data directory that has become read-only stops the start, though there is a database in it.', async (t) => {
  const { data } = await usedDirectory(t)
  const obstacle = makeReadOnly(t, data)
  if (obstacle !== null) return skipUnlessCi(t, obstacle.missing)
  await assertRefused(t, { data }, [new RegExp(data), /--data|writ/])
  await assertRefused(t, { data, env: { AUTHORIZATION_KEY: '' } }, [new RegExp(data), /--data|writ/])
})

test('A data directory that cannot be made stops the start.', async (t) => {
  const parent = temporaryDirectory(t)
  const obstacle = makeReadOnly(t, parent)
  if (obstacle !== null) return skipUnlessCi(t, obstacle.missing)
  await assertRefused(t, { data: join(parent, 'a', 'b') }, [/data directory/, new RegExp(parent), /--data/])
})

test('A data directory where the system lets nobody make one stops the start at once.', async (t) => {
  if (!existsSync('/proc')) return skipUnlessCi(t, 'there is no /proc; it takes Linux')
  await assertRefused(t, { data: '/proc/octoflow' }, [/data directory/, /\/proc/, /--data/])
})

test('A file in place of the data directory stops the start.', async (t) => {
  const data = join(temporaryDirectory(t), 'data')
  writeFileSync(data, 'my own file')
  await assertRefused(t, { data }, [/data directory/, new RegExp(data), /--data/])
  await assertRefused(t, { data: join(data, 'below') }, [new RegExp(data), /--data/])
})

test('A directory in place of the database stops the start.', async (t) => {
  const data = temporaryDirectory(t)
  mkdirSync(join(data, 'octoflow.db', 'mine'), { recursive: true })
  await assertRefused(t, { data }, [new RegExp(data), /directory/])
})

test('A port that another program has stops the start, and that program goes on.', async (t) => {
  const other = createServer((_request, response) => response.end('I was here first.'))
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  whenDone(t, () => {
    other.close()
    other.closeAllConnections()
  })
  const { port } = other.address() as AddressInfo
  const { data } = await usedDirectory(t)
  await assertRefused(t, { data, flags: ['--port', String(port)] }, [new RegExp(`${port}.*taken`), /--port/])
  assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'I was here first.')
  const { client } = await startOctoflow(t, { data })
  assert.equal((await client.get('/request/1')).status, 200, 'what was there is still there')
})

test('A host that is not this machine’s stops the start.', async (t) => {
  for (const [host, port] of [
    ['192.0.2.1', '0'],
    ['no-such-host.invalid', '0'],
  ] as const) {
    const { code, stderr } = await failToStart(t, { flags: ['--host', host, '--port', port] })
    assert.equal(code, 7, stderr)
    assert.ok(stderr.includes(host) && stderr.includes('--host'), stderr)
  }
})

test('A database file that is none stops the start.', async (t) => {
  for (const bytes of [Buffer.from('my own notes\n'.repeat(1_000)), Buffer.alloc(100_000, 0xa5), Buffer.from('my note\n')]) {
    const data = temporaryDirectory(t)
    writeFileSync(join(data, 'octoflow.db'), bytes)
    await assertRefused(t, { data }, [/octoflow\.db/, /not an Octoflow database/, /away|another/])
  }
})

test('A database whose beginning was overwritten or which was cut short stops the start.', async (t) => {
  for (const [what, damage] of [
    ['the header is zeros', (file: number) => writeSync(file, Buffer.alloc(100), 0, 100, 0)],
    ['the first page is noise after its header', (file: number) => writeSync(file, Buffer.alloc(3_900, 0xa5), 0, 3_900, 100)],
    ['the second half is gone', (file: number) => ftruncateSync(file, 8_192)],
  ] as const) {
    const { data, database } = await usedDirectory(t)
    const file = openSync(database, 'r+')
    damage(file)
    closeSync(file)
    t.diagnostic(what)
    await assertRefused(t, { data }, [/octoflow\.db|database/, /backup|away|another/])
  }
})

test('Another program’s database stops the start, whether it is at rest or in use.', async (t) => {
  for (const mode of ['DELETE', 'WAL'])
    for (const inUse of [false, true]) {
      const data = temporaryDirectory(t)
      const theirs = new DatabaseSync(join(data, 'octoflow.db'))
      whenDone(t, () => {
        if (theirs.isOpen) theirs.close()
      })
      theirs.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE mine (a); INSERT INTO mine VALUES (1)`)
      if (!inUse) theirs.close()
      await assertRefused(t, { data }, [/octoflow\.db/, /another program/, /away|another/])
    }
})

test('A database of a newer Octoflow stops the start.', async (t) => {
  const { data, database } = await usedDirectory(t)
  const newer = new DatabaseSync(database)
  newer.exec('PRAGMA user_version = 9999')
  newer.close()
  await assertRefused(t, { data }, [/schema version 9999/, /newer/])
})

test('A second server on the same data directory stops, and the first goes on undisturbed.', async (t) => {
  const { client, server } = await startOctoflow(t)
  assert.equal((await client.post('/request?custom_value=App', { json: {} })).status, 200)
  await assertRefused(t, { data: server.data }, [/[Aa]nother Octoflow/, new RegExp(server.data), /--data/])
  assert.equal((await client.post('/request?custom_value=App', { json: {} })).status, 200)
  await server.kill()
  const { client: next } = await startOctoflow(t, { data: server.data })
  assert.equal((await next.get('/request/2')).status, 200, 'the directory is free as soon as the first has ended')
})
