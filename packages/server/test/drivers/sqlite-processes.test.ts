import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSqlite } from '../../src/storage/drivers/sqlite/index.ts'
import { NOW, newRequest, range } from '../conformance/harness.ts'
import { Directory } from './directory.ts'
import { SqliteProcess } from './sqlite-process.ts'
import { withStorage } from './sqlite-storage.ts'

test('twenty processes may migrate one new file at once', async () => {
  await using directory = await Directory.make()
  const processes = await Promise.all(range(1, 20).map(() => SqliteProcess.start()))
  try {
    for (const name of range(1, 8)) {
      const path = join(directory.path, `${name}.db`)
      const migrated = processes.map((process) => process.next('migrated'))
      for (const process of processes) process.give({ do: 'migrate', path })
      const applied = (await Promise.all(migrated)).flatMap(({ versions }) => versions)
      await withStorage(path, async (storage) => {
        const { version, latest } = await storage.migrations.status()
        assert.equal(version, latest)
        assert.deepEqual(applied.sort(), range(1, latest), 'each version was applied once')
        assert.equal((await storage.requests.submit({ now: NOW, items: [newRequest()] }))[0]?.outcome, 'created')
      })
    }
  } finally {
    await Promise.all(processes.map((process) => process.kill()))
  }
})

test('who owned a database and was killed leaves it free', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  const own = () => openSqlite({ path, exclusive: true, onError: assert.fail })
  await using owner = await SqliteProcess.start()
  owner.give({ do: 'own', path })
  await owner.next('owns')
  assert.throws(own, { code: 'data_directory_in_use' })
  await owner.kill()
  await own().close()
})
