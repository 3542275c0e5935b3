import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Operation } from '@octoflow/protocol'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import {
  claimOne,
  commandFor,
  detail,
  expectProblem,
  expectStatus,
  finish,
  finishedOperation,
  ids,
  type Listed,
  QUEUE,
  range,
  read,
  start,
  startOperation,
  submit,
  submitMany,
} from './native.ts'

test('An operation acts on all jobs that match its filter and on no others, and counts them.', async (t) => {
  const { client } = await startOctoflow(t)
  const dead = [
    await finish(client, 'dead', { labels: { batch: '1' } }),
    await finish(client, 'dead', { labels: { batch: '1' } }),
  ]
  const otherQueue = await finish(client, 'dead', { queue: 'other', labels: { batch: '1' } })
  const otherLabel = await finish(client, 'dead')
  const otherState = await finish(client, 'completed', { labels: { batch: '1' } })
  const filter = { queue: QUEUE, state: 'dead', label: 'batch=1' }
  const started = await startOperation(client, 'retry', filter)
  assert.deepEqual(
    [started.action, started.filter, started.createdBy],
    ['retry', { ...filter, queue: [QUEUE], state: ['dead'] }, 'static key'],
  )
  const operation = await finishedOperation(client, started.id)
  assert.deepEqual([operation.state, operation.changed, operation.skipped], ['completed', 2, 0])
  assert.ok(operation.finishedAt! >= operation.createdAt)
  assert.deepEqual(await ids(client, '/jobs?state=pending&order=asc'), dead)
  assert.deepEqual(await ids(client, '/jobs?state=dead,completed&order=asc'), [otherQueue, otherLabel, otherState])
  const events = await read<Listed<{ message: string }>>(client, `/jobs/${dead[0]}/events`)
  assert.deepEqual(
    events.items.map(({ message }) => message),
    [`Run again by static key (operation ${started.id})`],
  )
})

test('Jobs that were submitted after an operation was asked for are none of its business.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, new Array(500).fill({}))
  const { id } = await startOperation(client, 'cancel', { queue: QUEUE })
  const later = await submit(client)
  assert.equal((await finishedOperation(client, id)).changed, 500)
  assert.deepEqual(await ids(client, '/jobs?state=pending'), [later])
})

test('Cancelling many cancels the pending ones and asks the running ones to end.', async (t) => {
  const { client } = await startOctoflow(t)
  const running = await start(client)
  const pending = await submit(client)
  const done = await finish(client, 'completed', { queue: 'other' })
  const { id } = await startOperation(client, 'cancel', { ids: [running.id, pending, done] })
  const { changed, skipped, examined } = await finishedOperation(client, id)
  assert.deepEqual([changed, skipped, examined], [2, 1, 3])
  assert.equal((await detail(client, pending)).state, 'cancelled')
  assert.equal(await commandFor(client, running), 'cancel')
})

test('Deleting many deletes them with their requests.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, new Array(1_500).fill({ labels: { old: 'yes' } }))
  const kept = await submit(client)
  const { id } = await startOperation(client, 'delete', { label: 'old' })
  assert.equal((await finishedOperation(client, id)).changed, 1_500)
  assert.deepEqual(await ids(client, '/jobs'), [kept])
  assert.deepEqual(await ids(client, '/requests'), [kept])
})

test('What cannot be acted on is skipped: of dead jobs with one unique key, one runs again.', async (t) => {
  const { client } = await startOctoflow(t)
  for (let n = 0; n < 3; n++) await finish(client, 'dead', { uniqueKey: 'u' })
  const { id } = await startOperation(client, 'retry', { state: 'dead' })
  const { changed, skipped } = await finishedOperation(client, id)
  assert.deepEqual([changed, skipped], [1, 2])
})

test('Those who wait for jobs get what an operation runs again.', async (t) => {
  const { client } = await startOctoflow(t)
  const dead = await finish(client, 'dead')
  const waiting = claimOne(client, { waitSeconds: 30 })
  await startOperation(client, 'retry', { state: 'dead' })
  assert.equal((await waiting).id, dead)
})

test('Operations asked for one after the other are all carried out at once, in their order.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  for (let round = 0; round < 20; round++) {
    const cancel = await startOperation(client, 'cancel', { ids: [id] })
    const retry = await startOperation(client, 'retry', { ids: [id] })
    assert.equal((await finishedOperation(client, cancel.id)).changed, 1)
    assert.equal((await finishedOperation(client, retry.id)).changed, 1)
  }
  assert.equal((await detail(client, id)).state, 'pending')
})

test('An operation tells how far it has got, and aborted half-way it stops: what is done stays done.', async (t) => {
  const { client } = await startOctoflow(t)
  const count = 40_000
  await submitMany(client, new Array(count).fill({}))
  const { id } = await startOperation(client, 'cancel', { state: 'pending' })
  const seen: number[] = []
  await until(
    async () => {
      const { changed, state } = await read<Operation>(client, `/operations/${id}`)
      assert.equal(state, 'running')
      seen.push(changed)
      return changed > 0
    },
    { what: 'it has begun', everyMs: 1 },
  )
  const aborted = (await client.delete(`/api/v1/operations/${id}`)).json as Operation
  assert.equal(aborted.state, 'aborted')
  assert.ok(aborted.changed >= seen.at(-1)! && aborted.changed < count, String(aborted.changed))
  const { counts } = await read<{ counts: { cancelled: number; pending: number } }>(client, `/queues/${QUEUE}`)
  assert.deepEqual([counts.cancelled, counts.pending], [aborted.changed, count - aborted.changed])
  expectProblem(await client.delete(`/api/v1/operations/${id}`), 409, 'operation_finished')
  const { id: next } = await startOperation(client, 'cancel', { ids: [count] })
  await finishedOperation(client, next)
  assert.deepEqual(await read(client, `/operations/${id}`), aborted, 'it has not gone on')
})

test('An operation that a restart interrupts goes on where it was, and acts on each job once.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const count = 20_000
  await submitMany(client, new Array(count).fill({}))
  const { id } = await startOperation(client, 'cancel', { state: 'pending' })
  await until(async () => (await read<Operation>(client, `/operations/${id}`)).changed > 0, {
    what: 'it has begun',
    everyMs: 1,
  })
  await server.kill()
  const { client: again } = await startOctoflow(t, { data: server.data })
  const { changed, skipped, examined } = await finishedOperation(again, id)
  assert.deepEqual([changed, skipped, examined], [count, 0, count])
})

test('Operations are listed page by page; an unknown one is 404, one that does not fit 400.', async (t) => {
  const { client } = await startOctoflow(t)
  for (let n = 0; n < 5; n++) await startOperation(client, 'delete', { queue: 'none' })
  assert.deepEqual(await ids(client, '/operations?limit=2'), [5, 4, 3, 2, 1])
  assert.deepEqual(await ids(client, '/operations?limit=2&order=asc'), range(1, 5))
  for (const id of ['6', '0', 'x']) {
    expectProblem(await client.get(`/api/v1/operations/${id}`), 404, 'operation_not_found')
    expectProblem(await client.delete(`/api/v1/operations/${id}`), 404, 'operation_not_found')
  }
  for (const json of [
    null,
    {},
    { action: 'retry' },
    { action: 'rm', filter: {} },
    { action: 'retry', filter: { queue: [] } },
    { action: 'retry', filter: { state: 'done' } },
    { action: 'retry', filter: { createdFrom: 'x' } },
    { action: 'retry', filter: { ids: [0] } },
    { action: 'retry', filter: { colour: 'red' } },
  ])
    expectProblem(await client.post('/api/v1/operations', { json }), 400, 'invalid_body')
})

test('An operation of a key with a queue scope acts on its queues alone, and other scopes do not see it.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'operator', queues: ['mine'] })
  const other = await createKey(client, { role: 'operator', queues: ['theirs'] })
  const mine = await submit(client, { queue: 'mine' })
  const theirs = await submit(client, { queue: 'theirs' })
  const call = { key, json: { action: 'cancel', filter: {} } }
  const { id, filter } = expectStatus(await client.post('/api/v1/operations', call), 202).json as Operation
  assert.deepEqual(filter, { queue: ['mine'] })
  assert.equal((await finishedOperation(client, id)).changed, 1)
  const byIds = { key, json: { action: 'delete', filter: { ids: [mine, theirs] } } }
  const second = expectStatus(await client.post('/api/v1/operations', byIds), 202).json as Operation
  assert.equal((await finishedOperation(client, second.id)).changed, 1)
  assert.equal((await detail(client, theirs)).state, 'pending')
  const beyond = { key, json: { action: 'cancel', filter: { queue: ['mine', 'theirs'] } } }
  expectProblem(await client.post('/api/v1/operations', beyond), 403, 'queue_out_of_scope')
  expectProblem(await client.get(`/api/v1/operations/${id}`, { key: other }), 404, 'operation_not_found')
  expectProblem(await client.delete(`/api/v1/operations/${id}`, { key: other }), 404, 'operation_not_found')
  assert.deepEqual((await read<Listed<Operation>>(client, '/operations', { key: other })).items, [])
  assert.equal((await read<Listed<Operation>>(client, '/operations', { key })).items.length, 2)
})
