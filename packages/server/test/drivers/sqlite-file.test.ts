import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { isOctoflowError } from '../../src/errors/octoflow-error.ts'
import { openSqlite } from '../../src/storage/drivers/sqlite/index.ts'
import { NOW, newRequest, range } from '../conformance/harness.ts'
import { Directory, mountTmpfs } from './directory.ts'
import { openAt, withStorage } from './sqlite-storage.ts'

test('a file is made with its directories', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'a', 'b', 'octoflow.db')
  const storage = openAt(path)
  await storage.migrations.migrate({ now: NOW })
  await storage.close()
  assert.ok((await stat(path)).size > 0)
  assert.deepEqual(await readdir(dirname(path)), ['octoflow.db'], 'closing leaves nothing beside it')
})

test('an empty file is made a database', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  await writeFile(path, '')
  const storage = openAt(path)
  assert.notDeepEqual(await storage.migrations.migrate({ now: NOW }), [])
  await storage.close()
})

test('a database of a newer Octoflow is refused and left as it is', async () => {
  await using directory = await Directory.make()
  const path = await makeDatabase(directory)
  const { latest } = await withStorage(path, (storage) => storage.migrations.status())
  const database = new DatabaseSync(path)
  database.exec(`PRAGMA user_version = ${latest + 1}`)
  database.close()
  const before = await readFile(path)
  await withStorage(path, async (storage) => {
    const refused = { code: 'schema_newer', details: { found: latest + 1, known: latest } }
    await assert.rejects(storage.migrations.migrate({ now: NOW }), refused)
    await assert.rejects(storage.migrations.migrate({ now: NOW }), refused)
    assert.deepEqual(await storage.migrations.status(), { version: latest + 1, latest })
  })
  assert.deepEqual(await readFile(path), before)
})

const FOREIGN: Readonly<Record<string, (path: string) => Promise<void> | void>> = {
  'a text': (path) => writeFile(path, 'Dear diary, nothing happened today.\n'.repeat(1_000)),
  'a short text': (path) => writeFile(path, 'hello\n'),
  'what begins like a database and is none': (path) => writeFile(path, `SQLite format 3\u0000${'x'.repeat(5_000)}`),
  'another program’s SQLite database': (path) => makeForeign(path, 'CREATE TABLE notes (text); INSERT INTO notes VALUES (1)'),
  'another program’s SQLite database with a log': (path) =>
    makeForeign(path, 'PRAGMA journal_mode = WAL; CREATE TABLE notes (text); INSERT INTO notes VALUES (1)'),
  'another program’s SQLite database without tables': (path) => makeForeign(path, 'PRAGMA application_id = 7'),
}
for (const [title, make] of Object.entries(FOREIGN)) {
  test(`a file that is not Octoflow’s is refused and left untouched: ${title}`, async () => {
    await using directory = await Directory.make()
    const path = join(directory.path, 'notes.db')
    await make(path)
    const before = await readFile(path)
    assert.throws(() => openAt(path), { code: 'not_a_database' })
    assert.deepEqual(await readFile(path), before)
    assert.deepEqual(await readdir(directory.path), ['notes.db'], 'nothing is left beside it')
  })
}

const DAMAGES: Readonly<Record<string, (path: string) => Promise<void>>> = {
  'all pages but the first are garbage': async (path) => {
    const bytes = await readFile(path)
    bytes.fill(0x5a, 4_096)
    await writeFile(path, bytes)
  },
  'the table of contents is garbage': async (path) => {
    const bytes = await readFile(path)
    bytes.fill(0x5a, 100, 4_096)
    await writeFile(path, bytes)
  },
  'half of it is missing': async (path) => truncate(path, Math.floor((await stat(path)).size / 2)),
}
for (const [title, damage] of Object.entries(DAMAGES)) {
  test(`a damaged database is told of as such: ${title}`, async () => {
    await using directory = await Directory.make()
    const path = await makeDatabase(directory)
    await damage(path)
    const use = () =>
      withStorage(path, async (storage) => {
        await storage.migrations.migrate({ now: NOW })
        for (const id of range(1, 500)) await storage.requests.find({ ids: [id] })
      })
    await assert.rejects(use(), { code: 'storage_corrupt' })
  })
}

test('one damaged page spoils what stands on it and no more', async () => {
  await using directory = await Directory.make()
  const path = await makeDatabase(directory)
  const bytes = await readFile(path)
  const found = bytes.indexOf('needle-250')
  assert.ok(found > 0)
  const pageSize = bytes.readUInt16BE(16)
  const page = found - (found % pageSize)
  bytes.fill(0x5a, page, page + pageSize)
  await writeFile(path, bytes)
  await withStorage(path, async (storage) => {
    await assert.rejects(storage.requests.find({ ids: range(1, 500) }), { code: 'storage_corrupt' })
    assert.equal((await storage.requests.find({ ids: [1] })).length, 1)
    const [submitted] = await storage.requests.submit({ now: NOW, items: [newRequest()] })
    assert.equal(submitted?.outcome, 'created')
  })
})

test('a file in the place of the directory is told of', async () => {
  await using directory = await Directory.make()
  const file = join(directory.path, 'data')
  await writeFile(file, 'a file')
  for (const path of [join(file, 'octoflow.db'), join(file, 'deeper', 'octoflow.db')])
    assert.throws(() => openAt(path), isUnusable(dirname(path)))
  assert.equal(await readFile(file, 'utf8'), 'a file')
})

test('a directory in the place of the file is told of', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  await mkdir(path)
  assert.throws(() => openAt(path), isUnusable(directory.path))
})

test('a directory on a read-only disk is told of, with a database in it or not', async (t) => {
  await using directory = await Directory.make()
  const path = await makeDatabase(directory)
  await using disk = await mountTmpfs(directory, '4m')
  if (disk === null) return t.skip('mounting a disk takes root on Linux')
  await copyFile(path, join(disk.path, 'octoflow.db'))
  await disk.makeReadOnly()
  for (const name of ['octoflow.db', 'new.db']) assert.throws(() => openAt(join(disk.path, name)), isUnusable(disk.path))
})

test('a database is owned by one at a time, where that is asked for', async () => {
  await using directory = await Directory.make()
  const path = await makeDatabase(directory)
  const own = () => openSqlite({ path, exclusive: true, onError: assert.fail })
  const first = own()
  assert.throws(own, { code: 'data_directory_in_use', details: { path: directory.path } })
  await first.close()
  await own().close()
})

const isUnusable =
  (path: string) =>
  (error: unknown): boolean =>
    isOctoflowError(error, 'data_directory_unusable') && error.details.path === path && error.details.reason !== ''

/** A database with 500 requests. */
async function makeDatabase({ path: directory }: Directory): Promise<string> {
  const path = join(directory, 'octoflow.db')
  await withStorage(path, async (storage) => {
    await storage.migrations.migrate({ now: NOW })
    const items = range(1, 500).map((n) => newRequest({ body: JSON.stringify(`needle-${n}-`.padEnd(400, 'x')) }))
    await storage.requests.submit({ now: NOW, items })
  })
  return path
}

function makeForeign(path: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}
