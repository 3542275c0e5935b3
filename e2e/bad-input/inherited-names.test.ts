import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'

/** What every object has without anybody's having put it there. */
const INHERITED = ['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', '__defineGetter__']

const JSON_TYPE = 'application/json'

/** An object with inherited names as members of its own, as JSON text. */
const withAll = (value: unknown): string => `{${INHERITED.map((name) => `"${name}":${JSON.stringify(value)}`).join()}}`

async function submit(client: Client, body: string): Promise<number> {
  const answer = await client.post('/api/v1/jobs', { body, type: JSON_TYPE })
  assert.equal(answer.status, 201, answer.text)
  return (answer.json as { readonly id: number }).id
}

test('A field is not there because every object inherits one of that name.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, '{"queue":"App"}')
  for (const [method, path, inherited] of [
    ['POST', '/api/v1/jobs', '{"queue":"q"}'],
    ['POST', '/api/v1/keys', '{"name":"n","role":"admin"}'],
    ['POST', '/api/v1/operations', '{"action":"delete","filter":{}}'],
    ['POST', '/api/v1/queues/App/claim', '{"workerId":"w"}'],
    ['POST', '/api/v1/jobs/report', '{"workerId":"w","jobs":[]}'],
    ['PATCH', `/api/v1/jobs/${id}`, '{"priority":0}'],
    ['PATCH', '/api/v1/queues/App', '{"paused":true}'],
    ['PUT', `/jobs/${id}/update-status`, '{"status":"Completed"}'],
    ['PUT', `/request/${id}`, '{"is_handled":1}'],
    ['POST', '/events', `{"job_id":${id},"message":"x"}`],
  ] as const)
    for (const body of [
      `{"__proto__":${inherited}}`,
      `{"constructor":{"prototype":${inherited}}}`,
      `{"__proto__":{"__proto__":${inherited}}}`,
    ]) {
      const answer = await client.call(method, path, { body, type: JSON_TYPE })
      assert.equal(answer.status, 400, `${method} ${path} ${body}: ${answer.text}`)
    }
  assert.equal(((await client.get(`/api/v1/jobs/${id}`)).json as { state: unknown }).state, 'pending')
})

test('What is put under an inherited name is known to that request alone.', async (t) => {
  const { client } = await startOctoflow(t)
  const evil = '{"queue":"evil","role":"admin","paused":true,"custom_value":"evil","status":"Completed","limit":1000}'
  for (const body of [
    `{"__proto__":${evil}}`,
    `{"constructor":{"prototype":${evil}}}`,
    `{"queue":"App","__proto__":${evil}}`,
  ]) {
    for (const [method, path] of [
      ['POST', '/api/v1/jobs'],
      ['PATCH', '/api/v1/queues/App'],
      ['POST', '/api/v1/keys'],
    ] as const)
      await client.call(method, path, { body, type: JSON_TYPE })
    await submit(client, `{"queue":"App","payload":${body},"labels":{"__proto__":"x"}}`)
    const captured = await client.post('/request', { body, type: JSON_TYPE })
    assert.deepEqual(Object.keys(captured.json as object), ['message', 'id'], 'custom_value is not inherited')
  }
  assert.equal((await client.post('/api/v1/jobs', { json: {} })).status, 400)
  assert.equal((await client.post('/api/v1/keys', { json: { name: 'n' } })).status, 400)
  assert.deepEqual((await client.post('/request', { json: {} })).json, { message: 'Request processed successfully', id: 7 })
  const { items } = (await client.get('/api/v1/queues')).json as { items: readonly { name: string; paused: boolean }[] }
  assert.deepEqual(
    items.map(({ name, paused }) => [name, paused]),
    [['App', false]],
  )
})

test('Inherited names are members like any other of what is kept as it came.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, `{"queue":"App","payload":${withAll({ a: 1 })},"labels":${withAll('x')}}`)
  const job = await client.get(`/api/v1/jobs/${id}`)
  assert.ok(job.text.includes(`"payload":${withAll({ a: 1 })}`), job.text)
  const { labels } = job.json as { labels: Readonly<Record<string, string>> }
  for (const name of INHERITED) {
    assert.equal(Object.getOwnPropertyDescriptor(labels, name)?.value, 'x', name)
    const found = (await client.get(`/api/v1/jobs?label=${name}`)).json as { items: readonly unknown[] }
    assert.equal(found.items.length, 1, `is found by its label ${name}`)
    const other = (await client.get(`/api/v1/jobs?label=${name}=y`)).json as { items: readonly unknown[] }
    assert.equal(other.items.length, 0)
  }

  const claimed = await client.post('/api/v1/queues/App/claim', { json: { workerId: 'constructor' } })
  assert.ok(claimed.text.includes(`"payload":${withAll({ a: 1 })}`))
  const [{ leaseToken }] = (claimed.json as { jobs: [{ leaseToken: string }] }).jobs
  const event = `{"message":"m","data":${withAll(null)}}`
  const report = `{"id":${id},"leaseToken":"${leaseToken}","outcome":"completed","result":${withAll([])},"events":[${event}]}`
  await client.post('/api/v1/jobs/report', { body: `{"workerId":"constructor","jobs":[${report}]}`, type: JSON_TYPE })
  assert.ok((await client.get(`/api/v1/jobs/${id}`)).text.includes(`"result":${withAll([])}`))
  assert.ok((await client.get(`/api/v1/jobs/${id}/events`)).text.includes(`"data":${withAll(null)}`))
})

test('Queues, workers and keys may have inherited names.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const name of INHERITED) {
    const id = await submit(client, `{"queue":"${name}","uniqueKey":"${name}","concurrencyKey":"${name}"}`)
    assert.equal((await client.post('/api/v1/keys', { json: { name, role: 'viewer', queues: [name] } })).status, 201)
    const claimed = await client.post(`/api/v1/queues/${name}/claim`, { json: { workerId: name } })
    const [{ leaseToken }] = (claimed.json as { jobs: [{ leaseToken: string }] }).jobs
    const jobs = [{ id, leaseToken, outcome: 'completed' }]
    const reported = await client.post('/api/v1/jobs/report', { json: { workerId: name, jobs } })
    assert.deepEqual(reported.json, { jobs: [{ id, ok: true }] })
    assert.equal((await client.post(`/api/v1/workers/${name}/drain`)).status, 200)
  }
  const { queues } = (await client.get('/api/v1/stats')).json as { queues: Readonly<Record<string, { completed: number }>> }
  for (const name of INHERITED) assert.ok(Object.hasOwn(queues, name) && queues[name]!.completed === 1, name)
})
