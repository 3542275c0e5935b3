import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../support/client.ts'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { startWithClock } from '../support/stepped-clock.ts'
import { take, takeNext } from './capturing.ts'

const submit = (client: Client, idempotencyKey: string, json: unknown = {}, key?: string) =>
  client.post('/request?custom_value=App', {
    json,
    headers: { 'idempotency-key': idempotencyKey },
    ...(key !== undefined && { key }),
  })

/** How many requests have been recorded. */
async function recorded(client: Client): Promise<number> {
  return ((await client.get('/api/v1/requests?limit=1000')).json as { items: readonly unknown[] }).items.length
}

test('The same Idempotency-Key answers with the first answer and creates nothing.', async (t) => {
  const { client } = await startOctoflow(t)
  const first = await submit(client, 'order-1', { n: 1 })
  for (let n = 2; n <= 4; n++) {
    const repeated = await submit(client, 'order-1', { n })
    assert.equal(repeated.status, 200)
    assert.equal(repeated.text, first.text)
  }
  assert.equal(await recorded(client), 1)
  assert.equal((await take(client, 'App')).request_raw, '{"n":1}')
  assert.equal(await takeNext(client, 'App'), null)
})

test('The first answer is repeated also where it made no job.', async (t) => {
  const { client } = await startOctoflow(t)
  const call = { json: {}, headers: { 'idempotency-key': 'k' } }
  const first = await client.post('/request', call)
  const repeated = await client.post('/request?custom_value=App', call)
  assert.deepEqual(first.json, { message: 'Request processed successfully', id: 1 })
  assert.equal(repeated.text, first.text)
})

test('Many requests with the same key at once make one job and have one answer.', async (t) => {
  const { client } = await startOctoflow(t)
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => submit(client, `k${round}`, { n })))
    assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1)
    assert.equal(await recorded(client), round + 1)
  }
})

test('Another key makes another job, and so does none, every time.', async (t) => {
  const { client } = await startOctoflow(t)
  const ids: unknown[] = []
  for (const headers of [{ 'idempotency-key': 'a' }, { 'idempotency-key': 'A' }, { 'idempotency-key': 'a b' }, {}, {}])
    ids.push(((await client.post('/request', { json: {}, headers })).json as { id: unknown }).id)
  assert.deepEqual(ids, [1, 2, 3, 4, 5])
})

test('Callers do not share their keys, even if their names are alike.', async (t) => {
  const { client } = await startOctoflow(t)
  const callers = [
    await createKey(client, { name: 'shop', role: 'producer' }),
    await createKey(client, { name: 'shop', role: 'producer' }),
    await createKey(client, { name: 'shop a', role: 'producer' }),
  ]
  const ids: unknown[] = []
  for (const key of callers) ids.push(((await submit(client, 'a k', {}, key)).json as { id: unknown }).id)
  ids.push(((await submit(client, 'k', {}, callers[2])).json as { id: unknown }).id)
  ids.push(((await submit(client, 'a k', {}, callers[0])).json as { id: unknown }).id)
  assert.deepEqual(ids, [1, 2, 3, 4, 1])
})

test('A key is remembered across a restart.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const first = await submit(client, 'order-1')
  await server.kill()
  const { client: again } = await startOctoflow(t, { data: server.data })
  assert.equal((await submit(again, 'order-1')).text, first.text)
  assert.equal(await recorded(again), 1)
})

test('The first answer stands even if its request was deleted since.', async (t) => {
  const { client } = await startOctoflow(t)
  const first = await submit(client, 'order-1')
  await client.delete('/request/1')
  assert.equal((await submit(client, 'order-1')).text, first.text)
  assert.equal(await recorded(client), 0)
})

test('A request that was refused leaves its key free.', async (t) => {
  const { client } = await startOctoflow(t)
  const call = { body: '{"broken"', type: 'application/json', headers: { 'idempotency-key': 'k' } }
  assert.equal((await client.post('/request', call)).status, 400)
  assert.deepEqual((await client.post('/request', { ...call, body: '{}' })).json, {
    message: 'Request processed successfully',
    id: 1,
  })
})

test('An Idempotency-Key has at most 256 characters.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.equal((await submit(client, 'k'.repeat(256))).status, 200)
  assert.equal((await submit(client, 'k'.repeat(257))).status, 400)
  assert.equal(await recorded(client), 1)
})

test('A key is remembered for 24 hours, and is free again after them.', async (t) => {
  const octoflow = await startWithClock(t)
  if (octoflow === null) return
  const { client, step } = octoflow
  const first = await submit(client, 'order-1')
  await step(24 * 3_600 - 60)
  assert.equal((await submit(client, 'order-1')).text, first.text)
  await step(24 * 3_600 + 60)
  assert.notEqual((await submit(client, 'order-1')).text, first.text)
  assert.equal(await recorded(client), 2)
})
