import assert from 'node:assert/strict'
import { type ApiKey, ROLES } from '../../src/model/access.ts'
import type { PageRequest } from '../../src/storage/contract/page.ts'
import { after, FIRST_100, type Fixture, type Group, NOW, readAll } from './harness.ts'

const apiKey = (id: string, more: Partial<ApiKey> = {}): ApiKey => ({
  id,
  name: `key ${id}`,
  role: 'worker',
  queues: null,
  createdAt: NOW,
  createdBy: 'static',
  expiresAt: null,
  lastUsedAt: null,
  ...more,
})

/** As long as a SHA-256 in hexadecimal. */
const hash = (letter: string): string => letter.repeat(64)

export const access: Group = (test) => {
  test('a key is kept as it was made and found by its hash alone', async ({ storage }) => {
    const limited = apiKey('k_1', { role: 'producer', queues: ['emails', 'reports'], expiresAt: after(60), name: 'Ada’s' })
    const unlimited = apiKey('k_2', { createdAt: after(1) })
    const none = apiKey('k_3', { queues: [], createdAt: after(2) })
    for (const [index, key] of [limited, unlimited, none].entries())
      await storage.access.create({ key, hash: hash('abc'[index]!) })
    assert.deepEqual(await storage.access.findByHash({ hash: hash('a') }), limited)
    assert.deepEqual(await storage.access.findByHash({ hash: hash('b') }), unlimited)
    assert.deepEqual(await storage.access.findByHash({ hash: hash('c') }), none)
    assert.equal(await storage.access.findByHash({ hash: hash('d') }), null)
    assert.equal(await storage.access.findByHash({ hash: 'k_1' }), null)
  })

  test('pages hold every key once, in order of id, either way', async ({ storage }) => {
    const keys = ['1', '10', '2', 'B', 'a'].map((id, index) => apiKey(id, { createdAt: after(9 - index) }))
    for (const [index, key] of keys.toReversed().entries()) await storage.access.create({ key, hash: hash('abcde'[index]!) })
    for (const limit of [1, 2, 5, 6]) {
      const list = (page: PageRequest<string>) => storage.access.list({ page })
      assert.deepEqual(await readAll(list, { limit, order: 'asc' }), keys)
      assert.deepEqual(await readAll(list, { limit, order: 'desc' }), keys.toReversed())
    }
  })

  for (const role of ROLES) {
    test(`a key may have the role ${role}`, async ({ storage }) => {
      await storage.access.create({ key: apiKey('k_1', { role }), hash: hash('a') })
      assert.equal((await storage.access.findByHash({ hash: hash('a') }))?.role, role)
    })
  }

  test('rotating gives a key a new text and voids the old one at once', async ({ storage }) => {
    const key = apiKey('k_1', { queues: ['emails'] })
    await storage.access.create({ key, hash: hash('a') })
    assert.deepEqual(await storage.access.rotate({ id: 'k_1', hash: hash('b') }), key)
    assert.equal(await storage.access.findByHash({ hash: hash('a') }), null)
    assert.deepEqual(await storage.access.findByHash({ hash: hash('b') }), key)
  })

  test('a deleted key is void at once', async ({ storage }) => {
    await storage.access.create({ key: apiKey('k_1'), hash: hash('a') })
    await storage.access.create({ key: apiKey('k_2'), hash: hash('b') })
    await storage.access.delete({ now: NOW, id: 'k_1' })
    assert.equal(await storage.access.findByHash({ hash: hash('a') }), null)
    assert.deepEqual(await ids(storage), ['k_2'])
  })

  test('an unknown key cannot be rotated or deleted', async ({ storage }) => {
    await assert.rejects(storage.access.rotate({ id: 'k_1', hash: hash('a') }), { code: 'key_not_found' })
    await assert.rejects(storage.access.delete({ now: NOW, id: 'k_1' }), { code: 'key_not_found' })
    assert.equal(await storage.access.findByHash({ hash: hash('a') }), null)
  })

  test('when keys were last used is noted', async ({ storage }) => {
    for (const letter of 'ab') await storage.access.create({ key: apiKey(`k_${letter}`), hash: hash(letter) })
    const uses = [
      { id: 'k_a', at: after(5) },
      { id: 'gone', at: after(5) },
      { id: 'k_b', at: after(6) },
    ]
    await storage.access.touch({ uses })
    const lastUsed = (await storage.access.list({ page: FIRST_100 })).items.map(({ id, lastUsedAt }) => [id, lastUsedAt])
    assert.deepEqual(lastUsed, [
      ['k_a', after(5)],
      ['k_b', after(6)],
    ])
  })

  test('a use that is noted late does not turn the time back', async ({ storage }) => {
    await storage.access.create({ key: apiKey('k_1'), hash: hash('a') })
    await storage.access.touch({ uses: [{ id: 'k_1', at: after(9) }] })
    await storage.access.touch({ uses: [{ id: 'k_1', at: after(5) }] })
    assert.equal((await storage.access.list({ page: FIRST_100 })).items[0]?.lastUsedAt, after(9))
  })

  test('two keys never have the same text', async ({ storage }) => {
    await storage.access.create({ key: apiKey('k_1'), hash: hash('a') })
    await assert.rejects(storage.access.create({ key: apiKey('k_2'), hash: hash('a') }))
    assert.deepEqual(await ids(storage), ['k_1'])
  })
}

const ids = async ({ access: store }: Fixture['storage']): Promise<string[]> =>
  (await store.list({ page: FIRST_100 })).items.map(({ id }) => id)
