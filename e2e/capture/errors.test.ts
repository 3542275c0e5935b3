import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Answer } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { capture, takeNext } from './capturing.ts'

function assertMessage(answer: Answer, status: number, what: string): void {
  assert.equal(answer.status, status, `${what}: ${answer.text}`)
  assert.deepEqual(Object.keys(answer.json as object), ['message'], what)
  assert.match((answer.json as { message: string }).message, /\S/)
}

test('A path id that is not a positive integer is 404.', async (t) => {
  const { client } = await startOctoflow(t)
  await capture(client, 'App')
  for (const id of [
    '0',
    '-1',
    '1.0',
    '1.5',
    '+1',
    '1e0',
    'NaN',
    'one',
    '0x1',
    '1%20',
    '%31a',
    '9007199254740993',
    '9'.repeat(30),
  ])
    for (const [method, path, json] of [
      ['GET', `/request/${id}`, undefined],
      ['PUT', `/request/${id}`, { is_handled: 1 }],
      ['DELETE', `/request/${id}`, undefined],
      ['PUT', `/jobs/${id}`, { status: 'Completed' }],
      ['PUT', `/jobs/${id}/update-status`, { status: 'Completed' }],
      ['PUT', `/jobs/${id}/mark-handled`, undefined],
      ['POST', `/jobs/${id}/insert-event`, { job_id: 1, message: 'x' }],
    ] as const)
      assertMessage(await client.call(method, path, json === undefined ? {} : { json }), 404, `${method} ${path}`)
})

test('An unknown path is 404, with or without a credential.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const path of ['/nothing', '/requests', '/request/1/2', '/jobs', '/jobs/1/other', '/events/1', '/Request', '//request'])
    for (const key of [null, undefined]) assertMessage(await client.get(path, key === null ? { key } : {}), 404, path)
})

test('A wrong method is 405 with Allow.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [path, allow] of [
    ['/', 'GET, HEAD'],
    ['/request', 'POST'],
    ['/request/1', 'DELETE, GET, HEAD, PUT'],
    ['/jobs/1', 'PUT'],
    ['/jobs/1/update-status', 'PUT'],
    ['/jobs/1/mark-handled', 'PUT'],
    ['/events', 'POST'],
    ['/jobs/1/insert-event', 'POST'],
  ] as const)
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      if (allow.split(', ').includes(method)) continue
      const answer = await client.call(method, path)
      assertMessage(answer, 405, `${method} ${path}`)
      assert.equal(answer.headers.get('allow'), allow, path)
    }
})

test('A body that does not parse is 400 and not recorded.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  const type = 'application/json'
  for (const body of [
    '{',
    '{"a":1',
    '[1,]',
    "{'a':1}",
    '{"a":1}{',
    'undefined',
    '\u0000',
    ' ',
    Buffer.from([0x22, 0xff, 0x22]),
  ]) {
    assertMessage(await client.post('/request?custom_value=App', { body, type }), 400, String(body))
    assertMessage(await client.put(`/jobs/${id}/update-status`, { body, type }), 400, String(body))
    assertMessage(await client.post('/events', { body, type }), 400, String(body))
  }
  for (const [broken, of] of [
    ['no boundary at all', 'multipart/form-data'],
    ['nonsense', 'multipart/form-data; boundary=x'],
    ['--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut off', 'multipart/form-data; boundary=x'],
  ] as const)
    assertMessage(await client.post('/request?custom_value=App', { body: broken, type: of }), 400, of)
  assert.equal((await takeNext(client, 'App'))?.job_id, id)
  assert.equal(await takeNext(client, 'App'), null)
})

test('A body of another shape than the route’s is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  const notObjects = [null, 1, 'text', true, [], [{}]]
  for (const json of [...notObjects, {}, { status: null }, { status: 1 }, { status: ['Completed'] }, { Status: 'Completed' }])
    assertMessage(await client.put(`/jobs/${id}/update-status`, { json }), 400, JSON.stringify(json))
  for (const json of [...notObjects, { status: null }, { status: 7 }])
    assertMessage(await client.put(`/jobs/${id}`, { json }), 400, JSON.stringify(json))
  for (const json of [
    ...notObjects,
    {},
    { job_id: id },
    { message: 'x' },
    { job_id: '1', message: 'x' },
    { job_id: id, message: 1 },
  ])
    assertMessage(await client.post('/events', { json }), 400, JSON.stringify(json))
  for (const json of [...notObjects, {}, { job_id: id }, { message: null }])
    assertMessage(await client.post(`/jobs/${id}/insert-event`, { json }), 400, JSON.stringify(json))
})

test('An event’s job_id that is no id is 404, like any job that does not exist.', async (t) => {
  const { client } = await startOctoflow(t)
  await capture(client, 'App')
  for (const jobId of [0, -1, 1e99, 2 ** 53])
    assertMessage(await client.post('/events', { json: { job_id: jobId, message: 'x' } }), 404, String(jobId))
})

test('A body over the limit of 1 MiB is 413, says the limit, and is not recorded.', async (t) => {
  const { client } = await startOctoflow(t)
  const body = 'x'.repeat(2 ** 20 + 1)
  for (const type of ['text/plain', 'application/json', 'application/octet-stream']) {
    const answer = await client.post('/request?custom_value=App', { body, type })
    assertMessage(answer, 413, type)
    assert.match((answer.json as { message: string }).message, /1048576/)
  }
  assertMessage(await client.put('/jobs/1/update-status', { body, type: 'application/json' }), 413, 'update-status')
  assert.equal(await capture(client, 'App'), 1)
})

test('BODY_LIMIT sets another limit.', async (t) => {
  const { client } = await startOctoflow(t, { env: { BODY_LIMIT: '2000' } })
  assert.equal((await client.post('/request', { body: 'x'.repeat(2000), type: 'text/plain' })).status, 200)
  const answer = await client.post('/request', { body: 'x'.repeat(2001), type: 'text/plain' })
  assertMessage(answer, 413, '2001 bytes')
  assert.match((answer.json as { message: string }).message, /2000/)
})

test('A type that a route does not understand is 415.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/xml',
    'json',
    'multipart/form-data; boundary=x',
    undefined,
  ])
    for (const [method, path] of [
      ['PUT', `/request/${id}`],
      ['PUT', `/jobs/${id}`],
      ['PUT', `/jobs/${id}/update-status`],
      ['POST', '/events'],
      ['POST', `/jobs/${id}/insert-event`],
    ] as const) {
      const answer = await client.call(method, path, { body: '{"status":"Completed"}', ...(type !== undefined && { type }) })
      assertMessage(answer, 415, `${method} ${path} ${type}`)
      if (type !== undefined) assert.ok((answer.json as { message: string }).message.includes(type), answer.text)
    }
})

test('A compressed body is 415 and not recorded.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'x-unknown']) {
    const call = { body: gzipSync('{}'), type: 'application/json', headers: { 'content-encoding': encoding } }
    assertMessage(await client.post('/request?custom_value=App', call), 415, encoding)
  }
  for (const encoding of ['identity', 'Identity'])
    assert.equal((await client.post('/request', { json: {}, headers: { 'content-encoding': encoding } })).status, 200, encoding)
  assert.equal(await capture(client, 'App'), 3)
})
