import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiKey, CreatedKey } from '@octoflow/protocol'
import type { Client } from '../support/client.ts'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import { bodyOf, expectProblem, expectStatus, type Listed, read } from './native.ts'

const create = async (client: Client, json: object, key?: string): Promise<CreatedKey> =>
  bodyOf<CreatedKey>(await client.post('/api/v1/keys', { json, ...(key !== undefined && { key }) }), 201)

const list = async (client: Client): Promise<ApiKey[]> => (await read<Listed<ApiKey>>(client, '/keys')).items

const statusOf = async (client: Client, key: string): Promise<number> => (await client.get('/api/v1/me', { key })).status

test('A new key is shown once, works at once, and is listed without its text.', async (t) => {
  const { client } = await startOctoflow(t)
  const { key, ...made } = await create(client, { name: 'billing', role: 'producer', queues: ['invoices', 'credits'] })
  const { createdAt, id, ...rest } = made
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 10_000)
  assert.deepEqual(rest, {
    name: 'billing',
    role: 'producer',
    queues: ['invoices', 'credits'],
    createdBy: 'static key',
    expiresAt: null,
    lastUsedAt: null,
  })
  const answer = await client.get('/api/v1/keys')
  assert.deepEqual(bodyOf(answer), { items: [made], next: null })
  assert.ok(!answer.text.includes(key))
  const { server, ...me } = await read<{ server: { version: string } }>(client, '/me', { key })
  assert.deepEqual(me, { name: `key billing (${id})`, role: 'producer', queues: ['invoices', 'credits'] })
  assert.match(server.version, /^\d+\.\d+\.\d+/)
})

test('A rotated key has a new text and keeps the rest; the old text is void at once.', async (t) => {
  const { client } = await startOctoflow(t)
  const { key, ...made } = await create(client, { name: 'a', role: 'viewer' })
  assert.equal(await statusOf(client, key), 200)
  const { key: rotated, ...same } = bodyOf<CreatedKey>(await client.post(`/api/v1/keys/${made.id}/rotate`))
  assert.deepEqual(same, made)
  assert.notEqual(rotated, key)
  assert.deepEqual([await statusOf(client, key), await statusOf(client, rotated)], [401, 200])
})

test('A deleted key is void at once.', async (t) => {
  const { client } = await startOctoflow(t)
  const { key, id } = await create(client, { name: 'a', role: 'viewer' })
  assert.equal(await statusOf(client, key), 200)
  expectStatus(await client.delete(`/api/v1/keys/${id}`), 204)
  assert.equal(await statusOf(client, key), 401)
  assert.deepEqual(await list(client), [])
  for (const answer of [await client.delete(`/api/v1/keys/${id}`), await client.post(`/api/v1/keys/${id}/rotate`)])
    expectProblem(answer, 404, 'key_not_found')
})

test('A key is void when its time is up, also one that was in use until then.', async (t) => {
  const { client } = await startOctoflow(t)
  const expiresAt = new Date(Date.now() + 5_000).toISOString()
  const { key, ...made } = await create(client, { name: 'a', role: 'viewer', expiresAt })
  assert.equal(made.expiresAt, expiresAt)
  assert.equal(await statusOf(client, key), 200)
  await until(async () => (await statusOf(client, key)) === 401, { what: 'its time is up', withinSeconds: 30, everyMs: 100 })
  assert.ok(Date.now() >= Date.parse(expiresAt), 'not before')
})

test('A key that does not fit, or would be void already, is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const json of [
    null,
    {},
    { name: 'a' },
    { name: '', role: 'viewer' },
    { name: 'a', role: 'root' },
    { name: 'a', role: 'viewer', queues: [] },
    { name: 'a', role: 'viewer', queues: 'q' },
    { name: 'a', role: 'viewer', expiresAt: 'never' },
    { name: 'a', role: 'viewer', expiresAt: '2020-01-01T00:00:00Z' },
    { name: 'a', role: 'viewer', rights: 'all' },
  ])
    expectProblem(await client.post('/api/v1/keys', { json }), 400, 'invalid_body')
  assert.deepEqual(await list(client), [])
})

test('When a key was last used is noted, and known after a restart.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const { key } = await create(client, { name: 'a', role: 'viewer' })
  const before = Date.now()
  await statusOf(client, key)
  await server.stop()
  const { client: again } = await startOctoflow(t, { data: server.data })
  const [{ lastUsedAt }] = (await list(again)) as [ApiKey]
  assert.ok(Date.parse(lastUsedAt!) >= before - 5 && Date.parse(lastUsedAt!) <= Date.now())
  assert.equal(await statusOf(again, key), 200, 'the key itself is known, too')
})

test('An admin who is limited to some queues makes, sees and takes over no key that reaches beyond them.', async (t) => {
  const { client } = await startOctoflow(t)
  const unlimited = await create(client, { name: 'unlimited', role: 'viewer' })
  const theirs = await create(client, { name: 'theirs', role: 'viewer', queues: ['mine', 'theirs'] })
  const key = await createKey(client, { role: 'admin', queues: ['mine', 'also mine'] })
  const beyond = { name: 'beyond', role: 'admin', queues: ['mine', 'theirs'] }
  expectProblem(await client.post('/api/v1/keys', { key, json: beyond }), 403, 'queue_out_of_scope')
  const narrower = await create(client, { name: 'narrower', role: 'admin', queues: ['mine'] }, key)
  const same = await create(client, { name: 'same', role: 'admin' }, key)
  assert.deepEqual([narrower.queues, same.queues], [['mine'], ['mine', 'also mine']])
  const { items } = await read<Listed<ApiKey>>(client, '/keys', { key })
  assert.deepEqual(items.map(({ name }) => name).sort(), ['narrower', 'same', 'test'])
  for (const { id, key: text } of [unlimited, theirs]) {
    expectProblem(await client.post(`/api/v1/keys/${id}/rotate`, { key }), 404, 'key_not_found')
    expectProblem(await client.delete(`/api/v1/keys/${id}`, { key }), 404, 'key_not_found')
    assert.equal(await statusOf(client, text), 200)
  }
  expectStatus(await client.post(`/api/v1/keys/${narrower.id}/rotate`, { key }), 200)
  expectStatus(await client.delete(`/api/v1/keys/${same.id}`, { key }), 204)
})
