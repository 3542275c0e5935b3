import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ATTEMPTS_KEPT } from '../../src/storage/contract/jobs.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import type { RecordPage, RequestRecord } from '../../src/storage/contract/transfer.ts'
import { after, Fixture, NOW, range, snoozed } from '../conformance/harness.ts'
import { openDatabase, SKIPPED } from './mongodb-storage.ts'

async function withFixture(use: (fixture: Fixture) => Promise<void>): Promise<void> {
  await using opened = await openDatabase()
  await opened.storage.migrations.migrate({ now: NOW })
  await use(new Fixture(opened))
}

const apiKey = (id: string) =>
  ({ id, name: id, role: 'viewer', queues: null, createdAt: NOW, createdBy: 'me', expiresAt: null, lastUsedAt: null }) as const

describe('what the MongoDB driver leaves in its documents', { skip: SKIPPED }, () => {
  test('nothing of an expired answer is left to who uses its key anew, at whichever server', async () => {
    await withFixture(async ({ storage, servers, submit, trySubmit }) => {
      const call = { key: 'a', fingerprint: 'f' } as const
      await storage.idempotency.begin({ ...call, now: NOW, reservedUntil: after(60) })
      await storage.idempotency.finish({ key: 'a', status: 201, body: '{}', expiresAt: after(60) })
      await storage.idempotency.begin({ ...call, now: after(61), reservedUntil: after(120) })
      const other = (await servers(2))[1]!
      assert.deepEqual(await other.idempotency.begin({ ...call, now: after(62), reservedUntil: after(120) }), {
        kind: 'in_use',
      })
      await submit({ idempotency: { ...call, expiresAt: after(300) } }, after(121))
      const again = await other.idempotency.begin({ ...call, now: after(122), reservedUntil: after(400) })
      assert.deepEqual(again, { kind: 'mismatch' })
      await other.idempotency.abandon({ key: 'a' })
      const [repeated] = await trySubmit([{ idempotency: { ...call, expiresAt: after(300) } }], after(123))
      assert.equal(repeated?.outcome, 'repeated')
    })
  })

  test('a page of keys is full although what is left of deleted ones stands between them', async () => {
    await withFixture(async ({ storage }) => {
      for (const id of ['a', 'b', 'c', 'd']) await storage.access.create({ key: apiKey(id), hash: id })
      for (const id of ['a', 'c']) await storage.access.delete({ now: NOW, id })
      const { items, next } = await storage.access.list({ page: { limit: 2, order: 'asc', after: null } })
      assert.deepEqual([items.map(({ id }) => id), next], [['b', 'd'], null])
      assert.equal((await storage.transfer.count()).key, 2)
    })
  })

  test('a copy passes by what is left of deleted requests, and ends', async () => {
    await withFixture(async ({ storage, submitAll }) => {
      const ids = await submitAll(range(1, 5).map(() => ({})))
      await storage.requests.delete({ now: NOW, ids: [ids[0]!, ids[1]!, ids[4]!] })
      assert.equal((await storage.transfer.count()).request, 2)
      const found: number[] = []
      let after: string | null = null
      do {
        const page: RecordPage<'request'> = await storage.transfer.read({ kind: 'request', after, limit: 1 })
        found.push(...page.records.map(({ id }) => id))
        after = page.next
      } while (after !== null)
      assert.deepEqual(found, [ids[2], ids[3]])
    })
  })

  test('deleting one job and forgetting an old attempt of another may share a commit', async () => {
    await withFixture(async (source) => {
      await source.report(await source.start(), snoozed(0))
      const { job, ...request } = await onlyRequest(source)
      const attempts = range(1, ATTEMPTS_KEPT).map((fence) => ({ ...job!.attempts[0]!, fence }))
      await withFixture(async ({ storage: { transfer, requests }, ...copy }) => {
        const queues = await source.storage.transfer.read({ kind: 'queue', after: null, limit: 1 })
        await transfer.write({ now: NOW, kind: 'queue', page: queues })
        const records = [
          { ...request, job: { ...job!, fence: ATTEMPTS_KEPT, attempts } },
          { ...request, id: request.id + 1, job },
        ]
        await transfer.write({ now: NOW, kind: 'request', page: { records, next: null } })
        const held = await copy.claimOne()
        await Promise.all([requests.delete({ now: NOW, ids: [request.id + 1] }), copy.report(held, snoozed(0))])
        const left = (await onlyRequest({ storage: { transfer } })).job!.attempts
        assert.deepEqual(
          left.map(({ fence }) => fence),
          range(2, ATTEMPTS_KEPT + 1),
        )
      })
    })
  })
})

async function onlyRequest({ storage }: { readonly storage: Pick<Storage, 'transfer'> }): Promise<RequestRecord> {
  const { records } = await storage.transfer.read({ kind: 'request', after: null, limit: 10 })
  assert.equal(records.length, 1)
  return records[0]!
}
