import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Authenticator, type AuthenticatorOptions } from '../../../../src/core/access/authenticator.ts'
import { Keys, type NewKey } from '../../../../src/core/access/keys.ts'
import { digest, newToken, tokenFor } from '../../../../src/core/access/tokens.ts'
import type { Ports } from '../../../../src/core/ports.ts'
import { isOctoflowError } from '../../../../src/errors/octoflow-error.ts'
import { MILLISECOND, MINUTE, SECOND } from '../../../../src/lib/time.ts'
import type { Principal } from '../../../../src/model/access.ts'
import { FIRST_100, NOW } from '../../../conformance/harness.ts'
import { ADMIN, type Core, openCore, replacing } from '../core.ts'

const wanted = (more: Partial<NewKey> = {}): NewKey => ({ name: 'k', role: 'viewer', queues: null, expiresAt: null, ...more })

function access(core: Core, options: Partial<AuthenticatorOptions> = {}, ports: Ports = core.ports) {
  const keys = new Keys(ports)
  return {
    keys,
    authenticator: new Authenticator(ports, keys, { staticKeys: [], verifier: null, disabled: false, ...options }),
  }
}

describe('Tokens', () => {
  test('hold their key’s id and 192 random bits, and no two are alike.', () => {
    const tokens = Array.from({ length: 1_000 }, () => newToken(NOW))
    for (const { id, token } of tokens) assert.match(token, new RegExp(`^octo_${id}_[\\w-]{32}$`))
    assert.equal(new Set(tokens.map(({ id }) => id)).size, 1_000)
    assert.notEqual(tokenFor('a'), tokenFor('a'))
  })

  test('made later have an id that comes later in order.', () => {
    const ids = [0, 1, 1_000, 10 ** 6, 10 ** 9, 10 ** 12].map((milliseconds) => newToken(NOW + milliseconds * MILLISECOND).id)
    assert.deepEqual(ids.toSorted(), ids)
  })

  test('are stored as their SHA-256.', () => {
    assert.equal(digest('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})

test('A static key is known without asking the database, and is an admin’s.', async () => {
  await using core = await openCore()
  const { authenticator } = access(core, { staticKeys: ['first', 'second'] })
  for (const key of ['first', 'second'])
    assert.deepEqual(authenticator.authenticate(key), { name: 'static key', role: 'admin', queues: null })
  for (const key of [null, '', 'First', 'first ', 'third']) assert.equal(await authenticator.authenticate(key), null)
})

test('With security off everybody is an admin.', async () => {
  await using core = await openCore()
  const { authenticator } = access(core, { disabled: true })
  for (const key of [null, 'whatever']) assert.equal((await authenticator.authenticate(key))?.role, 'admin')
})

test('A key is known by its text, with its role and its queues.', async () => {
  await using core = await openCore()
  const { keys, authenticator } = access(core)
  const { key, token } = await keys.create(wanted({ name: 'billing', role: 'worker', queues: ['q'] }), ADMIN)
  const principal = { name: `key billing (${key.id})`, role: 'worker', queues: ['q'] }
  assert.deepEqual(await authenticator.authenticate(token), principal)
  assert.equal(await authenticator.authenticate(`${token}x`), null)
  assert.equal(await authenticator.authenticate(digest(token)), null, 'what is stored is of no use')
})

test('A key that was looked up is not looked up again for 5 seconds.', async () => {
  await using core = await openCore()
  let lookUps = 0
  const ports = core.portsWith(({ access: store }) => ({
    access: replacing(store, {
      findByHash(params) {
        lookUps++
        return store.findByHash(params)
      },
    }),
  }))
  const { keys, authenticator } = access(core, {}, ports)
  const { token } = await keys.create(wanted(), ADMIN)
  for (const [wait, expected] of [
    [0, 1],
    [4 * SECOND, 1],
    [SECOND, 2],
  ] as const) {
    await core.clock.advance(wait)
    await authenticator.authenticate(token)
    assert.equal(lookUps, expected)
  }
})

test('A key that this server deletes or rotates is void at once, one that another server deletes within 5 seconds.', async () => {
  await using core = await openCore()
  const { keys, authenticator } = access(core)
  const { key: first, token: firstToken } = await keys.create(wanted(), ADMIN)
  const { key: second, token: secondToken } = await keys.create(wanted(), ADMIN)
  await Promise.all([authenticator.authenticate(firstToken), authenticator.authenticate(secondToken)])
  const { token: rotated } = await keys.rotate(first.id, ADMIN)
  assert.equal(await authenticator.authenticate(firstToken), null)
  assert.notEqual(await authenticator.authenticate(rotated), null)
  await keys.delete(first.id, ADMIN)
  assert.equal(await authenticator.authenticate(rotated), null)
  await authenticator.authenticate(secondToken)
  await core.storage.access.delete({ now: core.clock.now(), id: second.id })
  await core.clock.advance(5 * SECOND)
  assert.equal(await authenticator.authenticate(secondToken), null)
})

test('A key is void from the very instant at which it expires, also while it is known.', async () => {
  await using core = await openCore()
  const { keys, authenticator } = access(core)
  const { token } = await keys.create(wanted({ expiresAt: core.clock.now() + 2 * SECOND }), ADMIN)
  await core.clock.advance(2 * SECOND - 1)
  assert.notEqual(await authenticator.authenticate(token), null)
  await core.clock.advance(1)
  assert.equal(await authenticator.authenticate(token), null)
})

test('No key can be made that is void already.', async () => {
  await using core = await openCore()
  const { keys } = access(core)
  await assert.rejects(keys.create(wanted({ expiresAt: core.clock.now() }), ADMIN), (error) =>
    isOctoflowError(error, 'invalid_body'),
  )
  assert.deepEqual(await keys.list(FIRST_100, null), { items: [], next: null })
})

test('Keys beyond a scope neither shorten the pages of those within it nor show in their cursors.', async () => {
  await using core = await openCore()
  const { keys } = access(core)
  const within: string[] = []
  for (let n = 0; n < 4; n++) {
    const { key } = await keys.create(wanted({ queues: ['a'] }), ADMIN)
    within.push(key.id)
    await core.clock.advance(MILLISECOND)
    for (const queues of [null, ['b'], ['a', 'b']]) await keys.create(wanted({ queues }), ADMIN)
    await core.clock.advance(MILLISECOND)
  }
  const page = { limit: 2, order: 'asc' } as const
  const first = await keys.list({ ...page, after: null }, ['a'])
  const second = await keys.list({ ...page, after: first.next }, ['a'])
  assert.deepEqual(
    [...first.items, ...second.items].map(({ id }) => id),
    within,
  )
  assert.deepEqual([first.next, second.next], [within[1], null])
})

test('Only what looks like a JSON Web Token is shown to the verifier, and only if it is no key of ours.', async () => {
  await using core = await openCore()
  const shown: string[] = []
  const ada: Principal = { name: 'oidc ada', role: 'operator', queues: null }
  const verifier = {
    async verify(token: string) {
      shown.push(token)
      return token === 'a.b.c' ? ada : null
    },
  }
  const { keys, authenticator } = access(core, { verifier })
  const { token } = await keys.create(wanted(), ADMIN)
  assert.deepEqual(await authenticator.authenticate('a.b.c'), ada)
  for (const other of [token, 'x', 'a.b', 'a.b.c.d', 'a.b.c=', 'a..c']) await authenticator.authenticate(other)
  assert.equal(await authenticator.authenticate('x.y.z'), null)
  assert.deepEqual(shown, ['a.b.c', 'x.y.z'])
})

test('When keys were last used is written down every half minute and at the stop, not at every call.', async () => {
  await using core = await openCore()
  const { keys, authenticator } = access(core)
  await authenticator.start()
  const { token } = await keys.create(wanted(), ADMIN)
  const lastUse = async (): Promise<number | null> => (await keys.list(FIRST_100, null)).items[0]!.lastUsedAt
  const first = core.clock.now()
  await authenticator.authenticate(token)
  assert.equal(await lastUse(), null)
  await core.clock.advance(30 * SECOND)
  assert.equal(await lastUse(), first)
  await core.clock.advance(10 * SECOND)
  const second = core.clock.now()
  await authenticator.authenticate(token)
  await core.clock.advance(MINUTE)
  assert.equal(await lastUse(), second)
  const third = core.clock.now()
  await authenticator.authenticate(token)
  await authenticator.stop()
  assert.equal(await lastUse(), third)
  assert.equal(core.clock.timers, 0)
})

test('That the last use cannot be written down is logged and keeps nobody out.', async () => {
  await using core = await openCore()
  const ports = core.portsWith(({ access: store }) => ({
    access: replacing(store, { touch: () => Promise.reject(new Error('disk full')) }),
  }))
  const { keys, authenticator } = access(core, {}, ports)
  await core.run(authenticator)
  const { token } = await keys.create(wanted(), ADMIN)
  await authenticator.authenticate(token)
  await core.clock.advance(30 * SECOND)
  assert.deepEqual(core.logger.troubles, ['the last use of API keys was not noted'])
  assert.notEqual(await authenticator.authenticate(token), null)
})

test('A key’s text is in no line of the log.', async () => {
  await using core = await openCore()
  const { keys } = access(core)
  const { key, token } = await keys.create(wanted(), ADMIN)
  const { token: rotated } = await keys.rotate(key.id, ADMIN)
  const log = JSON.stringify(core.logger.lines)
  assert.ok(log.includes(key.id))
  for (const text of [token, rotated, digest(token)]) assert.ok(!log.includes(text))
})
