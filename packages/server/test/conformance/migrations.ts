import assert from 'node:assert/strict'
import { after, type Group, NOW, range, serversOf } from './harness.ts'

export const migrations: Group = (test, open) => {
  test('the schema of a fresh database is at the latest version after migrating', async ({ storage }) => {
    const { version, latest } = await storage.migrations.status()
    assert.ok(latest >= 1)
    assert.equal(version, latest)
  })

  test('migrating again applies nothing and keeps what is stored', async ({ storage, submit, job }) => {
    const id = await submit()
    const before = await job(id)
    assert.deepEqual(await storage.migrations.migrate({ now: after(60) }), [])
    assert.deepEqual(await job(id), before)
  })

  test('migrating after a restart applies nothing', async ({ storage, opened }) => {
    const again = (await opened.reopen?.()) ?? storage
    assert.deepEqual(await again.migrations.migrate({ now: after(60) }), [])
  })

  test('of many who migrate a fresh database at once each version is applied by one', async () => {
    await using empty = await open()
    const handles = await serversOf(empty, 4)
    assert.equal((await empty.storage.migrations.status()).version, 0)
    const applied = await Promise.all(range(0, 7).map((n) => handles[n % 4]!.migrations.migrate({ now: NOW })))
    const { version, latest } = await empty.storage.migrations.status()
    assert.equal(version, latest)
    assert.deepEqual(
      applied.flat().sort((a, b) => a - b),
      range(1, latest),
    )
  })
}
