import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Client } from '../support/client.ts'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory } from '../support/owner.ts'
import { failToStart, KEY } from '../support/server-process.ts'
import { until } from '../support/until.ts'
import { capture, take, takeNext } from './capturing.ts'

const UNAUTHORIZED = { message: 'Invalid or missing authorization' }

/** A call of every route of the capture API that needs a credential, and the least role that may make it. */
const CALLS = [
  ['producer', 'POST', '/request', {}],
  ['viewer', 'GET', '/request/1', undefined],
  ['worker', 'PUT', '/request/1', { is_handled: 1 }],
  ['worker', 'GET', '/jobs/next-pending?custom_value=App', undefined],
  ['worker', 'PUT', '/jobs/1', { status: 'In Progress' }],
  ['worker', 'PUT', '/jobs/1/update-status', { status: 'In Progress' }],
  ['worker', 'PUT', '/jobs/1/mark-handled', undefined],
  ['worker', 'POST', '/events', { job_id: 1, message: 'x' }],
  ['worker', 'POST', '/jobs/1/insert-event', { job_id: 1, message: 'x' }],
  ['operator', 'DELETE', '/request/1', undefined],
] as const

const ROLES = ['viewer', 'producer', 'worker', 'operator', 'admin'] as const

const statusWith = async (client: Client, headers: Readonly<Record<string, string>>): Promise<number> =>
  (await client.get('/request/1', { key: null, headers })).status

test('Every route but the greeting is 401 without a valid credential.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const key of [null, 'wrong-key'])
    for (const [, method, path, json] of CALLS) {
      const answer = await client.call(method, path, { key, ...(json !== undefined && { json }) })
      assert.equal(answer.status, 401, `${method} ${path}`)
      assert.deepEqual(answer.json, UNAUTHORIZED)
    }
})

test('The greeting, the health checks and the documentation need no credential.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const path of ['/', '/healthz', '/readyz', '/openapi.json', '/docs/'])
    for (const key of [null, 'wrong-key']) assert.equal((await client.get(path, { key })).status, 200, path)
})

test('A credential that is not sent as it must be is none.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const authorization of [
    KEY,
    `Basic ${btoa(`a:${KEY}`)}`,
    `Bearer ${KEY}x`,
    `Bearer ${KEY} ${KEY}`,
    'Bearer',
    'Bearer ',
    `Token ${KEY}`,
  ])
    assert.equal(await statusWith(client, { authorization }), 401, authorization)
})

test('An unauthorized request is not recorded.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const key of [null, 'wrong-key']) await client.post('/request?custom_value=App', { json: {}, key })
  assert.equal(await takeNext(client, 'App'), null)
  assert.equal(await capture(client, 'App'), 1)
})

test('AUTHORIZATION_KEY and API_TOKEN both work on every API.', async (t) => {
  const { client } = await startOctoflow(t, { env: { AUTHORIZATION_KEY: 'first-key', API_TOKEN: 'second-key' } })
  for (const key of ['first-key', 'second-key']) {
    assert.equal((await client.post('/request', { json: {}, key })).status, 200)
    const me = await client.get('/api/v1/me', { key })
    assert.equal((me.json as { role: unknown }).role, 'admin')
  }
})

test('An API key works as bearer and as X-API-Key, until it is deleted or its time is up.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'viewer' })
  await client.post('/request', { json: {} })
  assert.equal(await statusWith(client, { authorization: `Bearer ${key}` }), 200)
  assert.equal(await statusWith(client, { 'x-api-key': key }), 200)
  assert.equal(await statusWith(client, { 'x-api-key': KEY }), 200)
  assert.equal(await statusWith(client, { 'x-api-key': `${key}x` }), 401)
  const { items } = (await client.get('/api/v1/keys')).json as { items: readonly { readonly id: string }[] }
  await client.delete(`/api/v1/keys/${items[0]!.id}`)
  assert.equal(await statusWith(client, { 'x-api-key': key }), 401)
})

test('The key itself is nowhere in the data directory.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const key = await createKey(client, { role: 'viewer' })
  await server.stop()
  assert.ok(!readFileSync(join(server.data, 'octoflow.db')).includes(key))
})

test('A role allows its own calls and those of the roles before it, the others are 403.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const role of ROLES) {
    const key = await createKey(client, { role })
    for (const [needed, method, path, json] of CALLS) {
      const answer = await client.call(method, path, { key, ...(json !== undefined && { json }) })
      const allowed = ROLES.indexOf(role) >= ROLES.indexOf(needed)
      assert.equal(answer.status !== 403, allowed, `${role}: ${method} ${path} is ${answer.status}`)
      if (!allowed) assert.deepEqual(Object.keys(answer.json as object), ['message'])
    }
  }
})

test('A key with a queue scope sees and does nothing outside its queues.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'operator', queues: ['Mine'] })
  const mine = await capture(client, 'Mine')
  const theirs = await capture(client, 'Theirs')
  await client.post('/request', { json: {} })

  assert.equal((await client.get(`/request/${mine}`, { key })).status, 200)
  for (const id of [theirs, 3]) {
    assert.equal((await client.get(`/request/${id}`, { key })).status, 404)
    assert.equal((await client.put(`/request/${id}`, { key, json: { is_handled: 1 } })).status, 404)
    assert.equal((await client.put(`/jobs/${id}/update-status`, { key, json: { status: 'Completed' } })).status, 404)
    assert.equal((await client.put(`/jobs/${id}/mark-handled`, { key })).status, 404)
    assert.equal((await client.post('/events', { key, json: { job_id: id, message: 'x' } })).status, 404)
    assert.equal((await client.delete(`/request/${id}`, { key })).status, 404)
  }
  assert.equal((await client.get('/jobs/next-pending?custom_value=Theirs', { key })).status, 403)
  assert.equal((await client.post('/request?custom_value=Theirs', { key, json: {} })).status, 403)
  const nowhere = await client.post('/request', { key, json: {} })
  assert.deepEqual(
    [nowhere.status, nowhere.json],
    [403, { message: 'The credential is limited to queues, and the request names none.' }],
  )
  assert.equal((await client.get('/jobs/next-pending?custom_value=Mine', { key })).status, 200)
  assert.equal((await take(client, 'Theirs')).job_id, theirs)

  const lease = { id: theirs, leaseToken: '1' }
  const beat = await client.post('/api/v1/jobs/heartbeat', { key, json: { workerId: 'w', jobs: [lease] } })
  assert.deepEqual(beat.json, { jobs: [{ id: theirs, leaseUntil: null, command: 'lost' }] }, 'a token can be guessed')
  const report = { key, json: { workerId: 'w', jobs: [{ ...lease, outcome: 'completed' }] } }
  const refused = (await client.post('/api/v1/jobs/report', report)).json as { jobs: { code: string }[] }
  assert.equal(refused.jobs[0]?.code, 'lease_lost')
  const known = (await client.get(`/api/v1/jobs/${theirs}`)).json as { state: string }
  assert.equal(known.state, 'running')
})

test('If nothing is configured, the first start makes a random key, prints it and keeps it for its owner alone.', async (t) => {
  const { client, server } = await startOctoflow(t, { env: { AUTHORIZATION_KEY: '' } })
  const key = readFileSync(join(server.data, 'key'), 'utf8').trim()
  assert.ok(key.length >= 24)
  for (const file of ['key', 'octoflow.db', 'octoflow.db-wal'])
    assert.equal(statSync(join(server.data, file)).mode & 0o777, 0o600, file)
  await until(() => server.stdout.includes(key), { what: 'the key is printed' })
  assert.equal((await client.post('/request', { json: {} })).status, 401)
  assert.equal((await client.post('/request', { json: {}, key })).status, 200)
  await server.stop()

  const { client: again, server: restarted } = await startOctoflow(t, { data: server.data, env: { AUTHORIZATION_KEY: '' } })
  assert.equal((await again.get('/request/1', { key })).status, 200, 'it is kept')
  await restarted.stop()
  assert.ok(!`${restarted.stdout}${restarted.stderr}`.includes(key), 'it is printed once')
})

test('The well-known default keys of old are refused with a message that says what to do.', async (t) => {
  for (const [name, value] of [
    ['AUTHORIZATION_KEY', 'default_key'],
    ['API_TOKEN', 'default_token'],
    ['AUTHORIZATION_KEY', 'AUTH_KEY_HERE'],
  ] as const) {
    const { code, stderr } = await failToStart(t, { env: { [name]: value } })
    assert.equal(code, 7)
    assert.match(stderr, new RegExp(`${name}.*\\n?.*`))
    assert.match(stderr, /own|another|other|random|leave/i)
    assert.ok(!stderr.includes('    at '), 'no stack trace')
  }
})

test('So is one in the key file, and a key that is too short to be one; neither is shown.', async (t) => {
  const data = temporaryDirectory(t)
  for (const [key, fault] of [
    ['default_key', /well-known default/],
    ['hunter2', /has 7 characters; expected at least 8/],
  ] as const) {
    writeFileSync(join(data, 'key'), `${key}\n`, { mode: 0o600 })
    const { code, stdout, stderr } = await failToStart(t, { data, env: { AUTHORIZATION_KEY: '' } })
    assert.equal(code, 7)
    assert.match(stderr, fault)
    assert.ok(stderr.includes(join(data, 'key')), stderr)
    assert.ok(!`${stdout}${stderr}`.includes(key))
  }
})

test('DISABLE_SECURITY lets everybody in, but only on a loopback address.', async (t) => {
  const open = { DISABLE_SECURITY: 'True', AUTHORIZATION_KEY: '' }
  const { client } = await startOctoflow(t, { env: open })
  assert.equal((await client.post('/request', { json: {}, key: null })).status, 200)
  const { code, stderr } = await failToStart(t, { env: open, flags: ['--host', '0.0.0.0'] })
  assert.equal(code, 7)
  assert.match(stderr, /loopback|127\.0\.0\.1/)
})
