import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { capture, take, takeNext } from './capturing.ts'

const NOT_FOUND = { message: 'Request not found' }

test('A request that does not exist is 404.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const answer of [
    await client.get('/request/7'),
    await client.put('/request/7', { json: { is_handled: 1 } }),
    await client.delete('/request/7'),
  ]) {
    assert.equal(answer.status, 404)
    assert.deepEqual(answer.json, NOT_FOUND)
  }
})

test('PUT /request/{id} sets is_handled to 1 and back to 0.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  for (const handled of [1, 0, 1]) {
    const answer = await client.put(`/request/${id}`, { json: { is_handled: handled } })
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.json, { message: 'Request updated successfully' })
    assert.equal(((await client.get(`/request/${id}`)).json as { is_handled: unknown }).is_handled, handled)
  }
})

test('PUT /request/{id} takes nothing but 0 and 1 for is_handled.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  for (const json of [{ is_handled: 2 }, { is_handled: '1' }, { is_handled: true }, { is_handled: null }, {}, [], 1, null]) {
    const answer = await client.put(`/request/${id}`, { json })
    assert.equal(answer.status, 400, JSON.stringify(json))
    assert.equal(typeof (answer.json as { message: unknown }).message, 'string')
  }
  assert.equal(((await client.get(`/request/${id}`)).json as { is_handled: unknown }).is_handled, 0)
})

test('DELETE /request/{id} takes its job and events with it.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const id = await capture(client, 'App')
  const kept = await capture(client, 'App')
  for (const job of [id, kept]) await client.post(`/jobs/${job}/insert-event`, { json: { job_id: job, message: 'seen' } })
  const answer = await client.delete(`/request/${id}`)
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.json, { message: 'Request deleted successfully' })

  assert.equal((await client.get(`/request/${id}`)).status, 404)
  assert.equal((await client.put(`/jobs/${id}/update-status`, { json: { status: 'Completed' } })).status, 404)
  const tables = database()
  for (const [sql, expected] of [
    ['SELECT id FROM requests', kept],
    ['SELECT id FROM jobs', kept],
    ['SELECT job_id AS id FROM events', kept],
  ] as const)
    assert.deepEqual(
      tables
        .prepare(sql)
        .all()
        .map((row) => row.id),
      [expected],
      sql,
    )
  assert.equal((await take(client, 'App')).job_id, kept)
})

test('A request may be deleted while its job is being worked on; the worker’s report is 404 then.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await take(client, 'App')
  assert.equal((await client.delete(`/request/${id}`)).status, 200)
  const late = await client.put(`/jobs/${id}/update-status`, { json: { status: 'Completed' } })
  assert.equal(late.status, 404)
  assert.deepEqual(late.json, { message: 'Job not found' })
  assert.equal(await takeNext(client, 'App'), null)
})

test('The id of a deleted request is never given again.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await client.delete(`/request/${id}`)
  await server.stop()
  const { client: again } = await startOctoflow(t, { data: server.data })
  assert.equal(await capture(again, 'App'), id + 1)
})
