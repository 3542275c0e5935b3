import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { capture, take } from './capturing.ts'

const withQuery = (customValue: string): string => `/request?custom_value=${encodeURIComponent(customValue)}`

/** The custom_value that a captured request was given. */
async function recorded(client: Client, path: string, json: unknown): Promise<unknown> {
  const answer = await client.post(path, { json })
  assert.equal(answer.status, 200, answer.text)
  const { id, job_id } = answer.json as { id: number; job_id?: number }
  const { custom_value: customValue } = (await client.get(`/request/${id}`)).json as { custom_value: unknown }
  assert.equal(job_id, customValue === null ? undefined : id, 'there is a job where there is a custom_value, and only there')
  return customValue
}

test('custom_value comes from the query string, else from the top of a JSON body.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.equal(await recorded(client, withQuery('Query'), {}), 'Query')
  assert.equal(await recorded(client, '/request', { custom_value: 'Body' }), 'Body')
  assert.equal(await recorded(client, withQuery('Query'), { custom_value: 'Body' }), 'Query')
})

test('A JSON body is one also by another JSON type, or without any type.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const type of ['application/json; charset=utf-8', 'application/cloudevents+json', undefined]) {
    const answer = await client.post('/request', { body: '{"custom_value":"App"}', ...(type !== undefined && { type }) })
    const { id, job_id } = answer.json as { id: number; job_id?: number }
    assert.equal(job_id, id, `type ${type}`)
  }
  for (const type of ['text/plain', 'application/xml', 'application/octet-stream']) {
    const answer = await client.post('/request', { body: '{"custom_value":"App"}', type })
    assert.deepEqual(Object.keys(answer.json as object), ['message', 'id'], type)
  }
  const form = await client.post('/request', { body: 'custom_value=App', type: 'application/x-www-form-urlencoded' })
  assert.deepEqual(Object.keys(form.json as object), ['message', 'id'], 'a form is stored as an object, but came as none')
})

test('Only a string at the top of the body counts as a custom_value.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const json of [
    { custom_value: 7 },
    { custom_value: null },
    { custom_value: ['App'] },
    { inner: { custom_value: 'App' } },
    [{ custom_value: 'App' }],
    'custom_value',
    null,
  ])
    assert.equal(await recorded(client, '/request', json), null, JSON.stringify(json))
})

test('An empty custom_value names nothing.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.equal(await recorded(client, '/request?custom_value=', {}), null)
  assert.equal(await recorded(client, '/request', { custom_value: '' }), null)
  assert.equal(await recorded(client, '/request?custom_value=', { custom_value: 'Body' }), 'Body')
})

test('custom_value has at most 256 characters.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const character of ['x', 'ä', '漢', '🐙']) {
    const longest = character.repeat(256)
    assert.equal(await recorded(client, withQuery(longest), {}), longest)
    assert.equal(await recorded(client, '/request', { custom_value: longest }), longest)
    for (const answer of [
      await client.post(withQuery(`${longest}x`), { json: {} }),
      await client.post('/request', { json: { custom_value: `${longest}x` } }),
    ]) {
      assert.equal(answer.status, 400)
      assert.match((answer.json as { message: string }).message, /custom_value/)
    }
  }
})

test('What was refused for its custom_value is not recorded.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post(withQuery('x'.repeat(257)), { json: {} })
  await client.post('/request', { json: { custom_value: 'x'.repeat(257) } })
  assert.equal(await capture(client, 'App'), 1)
})

test('A job is found by its custom_value whatever characters that has.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const customValue of [
    'App',
    'app',
    ' App ',
    'a/b',
    'a,b',
    'a%20b',
    'ÄÖ ß',
    'A\u0308',
    '漢字',
    '🐙',
    "o'clock",
    '"x"',
    '%',
    '*',
    '_',
  ]) {
    const id = await capture(client, customValue)
    const job = await take(client, customValue)
    assert.equal(job.job_id, id, customValue)
    assert.equal(job.custom_value, customValue)
  }
})

test('A job goes to those alone who ask for its very custom_value.', async (t) => {
  const { client } = await startOctoflow(t)
  await capture(client, 'App')
  for (const other of ['app', 'App ', 'Ap', 'App2', 'A%', 'A_p', '*'])
    assert.equal((await client.get(`/jobs/next-pending?custom_value=${encodeURIComponent(other)}`)).status, 404, other)
})

test('A custom_value with half of a character is refused.', async (t) => {
  const { client } = await startOctoflow(t)
  const answer = await client.post('/request', { body: '{"custom_value":"\\ud800"}', type: 'application/json' })
  assert.equal(answer.status, 400)
  assert.match((answer.json as { message: string }).message, /custom_value/)
})
