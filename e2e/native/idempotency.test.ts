import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClaimAnswer, CreatedKey, Job, Operation } from '@octoflow/protocol'
import type { Answer } from '../support/client.ts'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import {
  bodyOf,
  claim,
  claimOne,
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
  report,
  start,
  submit,
  submitMany,
  WORKER,
} from './native.ts'

const keyed = (key: string) => ({ 'idempotency-key': key })

test('A submit that is repeated with its Idempotency-Key makes one job, whatever became of that.', async (t) => {
  const { client } = await startOctoflow(t)
  const call = { json: { queue: QUEUE, payload: 1 }, headers: keyed('k1') }
  assert.deepEqual(bodyOf(await client.post('/api/v1/jobs', call), 201), { id: 1, queue: QUEUE, outcome: 'created' })
  await claim(client)
  assert.deepEqual(bodyOf(await client.post('/api/v1/jobs', call), 200), { id: 1, queue: QUEUE, outcome: 'repeated' })
  const other = { ...call, json: { queue: QUEUE, payload: 2 } }
  expectProblem(await client.post('/api/v1/jobs', other), 422, 'idempotency_key_reused')
  assert.deepEqual(await ids(client, '/jobs'), [1])
})

test('A hundred submits at once with one Idempotency-Key make one job.', async (t) => {
  const { client } = await startOctoflow(t)
  const call = { json: { queue: QUEUE }, headers: keyed('k') }
  const answers = await Promise.all(range(1, 100).map(() => client.post('/api/v1/jobs', call)))
  assert.equal(answers.filter(({ status }) => status === 201).length, 1)
  assert.deepEqual(new Set(answers.map((answer) => (answer.json as { id: number }).id)), new Set([1]))
})

test('A batch that is repeated gives the same ids in the same places.', async (t) => {
  const { client } = await startOctoflow(t)
  const call = { json: { jobs: [{ queue: 'a' }, { queue: '' }, { queue: 'b' }] }, headers: keyed('k') }
  const idsOf = (answer: Answer) => (answer.json as { jobs: { id?: number }[] }).jobs.map(({ id }) => id)
  const first = await client.post('/api/v1/jobs', call)
  const second = await client.post('/api/v1/jobs', call)
  assert.deepEqual([first.status, second.status], [201, 200])
  assert.deepEqual(idsOf(second), idsOf(first))
  assert.equal((await ids(client, '/jobs')).length, 2)
})

test('A batch of another length or order under a known Idempotency-Key is 422 as a whole, as is a single job.', async (t) => {
  const { client } = await startOctoflow(t)
  const jobs = [{ queue: 'a' }, { queue: 'b' }, { queue: 'c' }]
  const post = (json: object, key = 'k') => client.post('/api/v1/jobs', { json, headers: keyed(key) })
  expectStatus(await post({ jobs }), 201)
  for (const other of [
    { jobs: jobs.slice(0, 2) },
    { jobs: jobs.slice(0, 1) },
    { jobs: [...jobs, { queue: 'd' }] },
    { jobs: jobs.toReversed() },
    jobs[0]!,
  ])
    expectProblem(await post(other), 422, 'idempotency_key_reused')
  expectStatus(await post(jobs[0]!, 'single'), 201)
  expectProblem(await post({ jobs: jobs.slice(0, 1) }, 'single'), 422, 'idempotency_key_reused')
  expectStatus(await post({ jobs }), 200)
  assert.equal((await ids(client, '/jobs')).length, 4)
})

test('A batch of which nothing fits leaves its Idempotency-Key free for the mended one.', async (t) => {
  const { client } = await startOctoflow(t)
  const post = (jobs: readonly object[]) => client.post('/api/v1/jobs', { json: { jobs }, headers: keyed('k') })
  expectStatus(await post([{ queue: '' }]), 200)
  expectStatus(await post([{ queue: 'a' }]), 201)
})

test('Two callers may choose the same Idempotency-Key; so may two different calls of one.', async (t) => {
  const { client } = await startOctoflow(t)
  const [first, second] = [await createKey(client, { role: 'producer' }), await createKey(client, { role: 'producer' })]
  for (const key of [first, second])
    expectStatus(await client.post('/api/v1/jobs', { key, json: { queue: QUEUE }, headers: keyed('k') }), 201)
  expectStatus(await client.post('/api/v1/jobs/1/cancel', { headers: keyed('k') }), 200)
  expectStatus(await client.post('/api/v1/jobs/2/cancel', { headers: keyed('k') }), 200)
})

test('A repeated call gets the answer of the first one and is carried out once.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await finish(client, 'dead')
  const retry = () => client.post(`/api/v1/jobs/${id}/retry`, { headers: keyed('r') })
  const first = expectStatus(await retry(), 200)
  const repeated = await retry()
  assert.deepEqual([repeated.status, repeated.json], [200, first.json])
  assert.match(repeated.headers.get('content-type')!, /^application\/json/)

  const operate = () =>
    client.post('/api/v1/operations', { json: { action: 'cancel', filter: { ids: [id] } }, headers: keyed('o') })
  const operation = bodyOf<Operation>(await operate(), 202)
  assert.equal((await finishedOperation(client, operation.id)).changed, 1)
  assert.deepEqual(bodyOf(await operate(), 202), operation)
  assert.equal((await read<Listed<Operation>>(client, '/operations')).items.length, 1)

  const event = () => client.post(`/api/v1/jobs/${id}/events`, { json: { message: 'once' }, headers: keyed('e') })
  assert.deepEqual(bodyOf(await event(), 201), bodyOf(await event(), 201))
  const events = (await read<Listed<{ message: string }>>(client, `/jobs/${id}/events`)).items
  assert.equal(events.filter(({ message }) => message === 'once').length, 1)

  const pause = (paused: boolean, key: string) =>
    client.patch(`/api/v1/queues/${QUEUE}`, { json: { paused }, headers: keyed(key) })
  for (const [paused, key] of [
    [true, 'p1'],
    [false, 'p2'],
    [true, 'p1'],
  ] as const)
    expectStatus(await pause(paused, key), 200)
  assert.equal((await read<{ paused: boolean }>(client, `/queues/${QUEUE}`)).paused, false)
})

test('A call that was refused as things stood is carried out when it is repeated later.', async (t) => {
  const { client } = await startOctoflow(t)
  const retry = () => client.post('/api/v1/jobs/1/retry', { headers: keyed('r') })
  expectProblem(await retry(), 404, 'job_not_found')
  const held = await start(client)
  expectProblem(await retry(), 409, 'job_not_finished')
  await report(client, held, { outcome: 'completed' })
  assert.equal(bodyOf<Job>(await retry()).state, 'pending')
  await report(client, await claimOne(client), { outcome: 'completed' })
  assert.equal(bodyOf<Job>(await retry()).state, 'pending', 'now there is an answer, and it is kept')
  assert.equal((await detail(client, held.id)).state, 'completed')
})

test('A call that will never fit is answered as before.', async (t) => {
  const { client } = await startOctoflow(t)
  const past = { json: { name: 'a', role: 'viewer', expiresAt: '2020-01-01T00:00:00Z' }, headers: keyed('k') }
  const refused = expectProblem(await client.post('/api/v1/keys', past), 400, 'invalid_body')
  assert.deepEqual(expectProblem(await client.post('/api/v1/keys', past), 400, 'invalid_body'), refused)
})

test('A claim that is repeated gives the same jobs as long as their leases are held, and takes no others.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, new Array(5).fill({ payload: 1.0 }))
  const take = (key: string, limit = 3) =>
    client.post(`/api/v1/queues/${QUEUE}/claim`, { json: { workerId: WORKER, limit }, headers: keyed(key) })
  const first = bodyOf<ClaimAnswer>(await take('k'))
  assert.equal(first.jobs.length, 3)
  const second = bodyOf<ClaimAnswer>(await take('k'))
  assert.deepEqual(leasesApart(second), leasesApart(first))
  expectProblem(await take('k', 2), 422, 'idempotency_key_reused')
  await report(client, first.jobs[1]!, { outcome: 'completed' })
  assert.deepEqual(leasesApart(bodyOf(await take('k'))), leasesApart({ jobs: [first.jobs[0]!, first.jobs[2]!], drain: false }))
  assert.equal(bodyOf<ClaimAnswer>(await take('another')).jobs.length, 2)
})

const leasesApart = ({ jobs, ...answer }: ClaimAnswer) => ({
  ...answer,
  jobs: jobs.map((job) => ({ ...job, leaseUntil: null })),
})

test('A claim that is repeated renews its leases, tells until when, and can be repeated as long as they last.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, [{ payload: { n: 1.5 } }, {}])
  const take = async () => {
    const json = { workerId: WORKER, limit: 1, leaseSeconds: 2 }
    return bodyOf<ClaimAnswer>(await client.post(`/api/v1/queues/${QUEUE}/claim`, { json, headers: keyed('k') })).jobs[0]!
  }
  const first = await take()
  while (Date.now() < Date.parse(first.leaseUntil) + 500) {
    const again = await take()
    assert.equal(again.leaseUntil, (await detail(client, first.id)).leaseUntil)
    assert.deepEqual({ ...again, leaseUntil: first.leaseUntil }, first)
  }
})

test('A claim that found nothing asks again when it is repeated.', async (t) => {
  const { client } = await startOctoflow(t)
  const take = () => client.post(`/api/v1/queues/${QUEUE}/claim`, { json: { workerId: WORKER }, headers: keyed('k') })
  assert.deepEqual(bodyOf(await take()), { jobs: [], drain: false })
  await submit(client)
  assert.equal(bodyOf<ClaimAnswer>(await take()).jobs.length, 1)
})

test('A delete that is repeated with its Idempotency-Key is 204 again.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  const remove = () => client.delete(`/api/v1/jobs/${id}`, { headers: keyed('d') })
  for (const answer of [await remove(), await remove()]) {
    expectStatus(answer, 204)
    assert.equal(answer.text, '')
  }
  expectProblem(await client.delete(`/api/v1/jobs/${id}`), 404, 'job_not_found')
})

test('An Idempotency-Key used for another body of the same call is 422.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  const patch = (priority: number) => client.patch(`/api/v1/jobs/${id}`, { json: { priority }, headers: keyed('p') })
  expectStatus(await patch(1), 200)
  expectProblem(await patch(2), 422, 'idempotency_key_reused')
  assert.equal((await detail(client, id)).priority, 1)
})

test('Of many calls at once with one Idempotency-Key, one is carried out; the others get its answer or are told to wait.', async (t) => {
  const { client } = await startOctoflow(t)
  const call = { json: { action: 'cancel', filter: { queue: QUEUE } }, headers: keyed('k') }
  const answers = await Promise.all(range(1, 30).map(() => client.post('/api/v1/operations', call)))
  for (const answer of answers.filter(({ status }) => status !== 202)) {
    expectProblem(answer, 409, 'idempotency_key_in_use')
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
  }
  assert.equal((await read<Listed<Operation>>(client, '/operations')).items.length, 1)
})

test('A key made with an Idempotency-Key is made once, and its text is not shown again.', async (t) => {
  const { client } = await startOctoflow(t)
  const call = { json: { name: 'a', role: 'viewer' }, headers: keyed('k') }
  const { key, id } = bodyOf<CreatedKey>(await client.post('/api/v1/keys', call), 201)
  expectProblem(await client.post('/api/v1/keys', call), 409, 'idempotency_answer_gone')
  assert.equal((await read<Listed<object>>(client, '/keys')).items.length, 1)
  const rotate = () => client.post(`/api/v1/keys/${id}/rotate`, { headers: keyed('r') })
  const rotated = bodyOf<CreatedKey>(await rotate())
  assert.notEqual(rotated.key, key)
  expectProblem(await rotate(), 409, 'idempotency_answer_gone')
  expectStatus(await client.get('/api/v1/me', { key: rotated.key }), 200)
})

test('A call that does not fit leaves its Idempotency-Key free for the mended one.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  const patch = (json: object) => client.patch(`/api/v1/jobs/${id}`, { json, headers: keyed('k') })
  expectProblem(await patch({ priority: 77 }), 400, 'invalid_body')
  expectStatus(await patch({ priority: 7 }), 200)
})

test('An Idempotency-Key of 256 characters is accepted, a longer one is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [length, status] of [
    [256, 201],
    [257, 400],
  ] as const)
    for (const path of ['/api/v1/jobs', '/api/v1/keys']) {
      const json = path.endsWith('jobs') ? { queue: QUEUE } : { name: 'a', role: 'viewer' }
      expectStatus(await client.post(path, { json, headers: keyed('x'.repeat(length)) }), status)
    }
})

test('Answers under an Idempotency-Key are kept over a restart.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const id = await finish(client, 'dead')
  const path = `/api/v1/jobs/${id}/retry`
  const first = expectStatus(await client.post(path, { headers: keyed('k') }), 200)
  await server.kill()
  const { client: again } = await startOctoflow(t, { data: server.data })
  assert.deepEqual(bodyOf(await again.post(path, { headers: keyed('k') })), first.json)
  expectProblem(await again.post(path, { headers: keyed('another') }), 409, 'job_not_finished')
})
