import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job, JobDetail, TimelineEntry } from '@octoflow/protocol'
import type { Answer } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import {
  attempts,
  bodyOf,
  claim,
  claimOne,
  commandFor,
  detail,
  expectProblem,
  expectStatus,
  finish,
  heartbeat,
  type Listed,
  QUEUE,
  read,
  report,
  reportOf,
  start,
  submit,
  tryReport,
  WORKER,
} from './native.ts'

const NO_BACKOFF = { baseSeconds: 0, factor: 1, maxSeconds: 0, jitter: 0 }

const messagesOf = async (client: Parameters<typeof read>[0], id: number): Promise<string[]> =>
  (await read<Listed<{ message: string }>>(client, `/jobs/${id}/events`)).items.map(({ message }) => message)

test('A job shows its attempts, its progress, its error and in the end its result.', async (t) => {
  const { client } = await startOctoflow(t)
  const first = await start(client, { backoff: NO_BACKOFF })
  await heartbeat(client, [first], { progress: { fraction: 0.25, message: 'half of the half' } })
  const running = await detail(client, first.id)
  assert.deepEqual(
    [running.state, running.worker, running.attempt, running.progress],
    ['running', WORKER, 1, { fraction: 0.25, message: 'half of the half' }],
  )
  assert.equal(running.leaseUntil! > running.startedAt!, true)
  const error = { message: 'no route', code: 'EHOSTUNREACH', detail: 'at smtp' }
  await report(client, first, { outcome: 'failed', error })
  const failed = await detail(client, first.id)
  assert.deepEqual([failed.state, failed.error, failed.result, failed.leaseUntil], ['pending', error, null, null])
  const second = await claimOne(client, { workerId: 'worker-2' })
  assert.equal(second.attempt, 2)
  await report(client, second, { outcome: 'completed', result: { sent: true } })
  const done = await detail(client, first.id)
  assert.deepEqual([done.state, done.result, done.error, done.attempt], ['completed', { sent: true }, null, 2])
  assert.ok(done.finishedAt! >= done.startedAt!)
  assert.deepEqual(
    done.attempts.map(({ attempt, worker, outcome, error }) => ({ attempt, worker, outcome, error })),
    [
      { attempt: 1, worker: WORKER, outcome: 'failed', error },
      { attempt: 2, worker: 'worker-2', outcome: 'completed', error: null },
    ],
  )
})

test('The timeline tells all that happened in order, whatever its kind.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client, { maxAttempts: 1 })
  const post = (json: object) => client.post(`/api/v1/jobs/${held.id}/events`, { json })
  expectStatus(await post({ message: 'connecting' }), 201)
  expectStatus(await post({ message: 'slow', kind: 'log', level: 'warn', data: { ms: 900 } }), 201)
  await report(client, held, { outcome: 'failed', error: 'broken pipe', events: [{ message: 'giving up', level: 'error' }] })
  expectStatus(await client.post(`/api/v1/jobs/${held.id}/retry`), 200)
  const again = await claimOne(client)
  await report(client, again, { outcome: 'completed' })
  const { items, next } = await read<Listed<TimelineEntry>>(client, `/jobs/${held.id}/timeline`)
  assert.equal(next, null)
  assert.deepEqual(
    items.map(({ kind }) => kind),
    [
      'request',
      'attempt_started',
      'event',
      'log',
      'event',
      'attempt_ended',
      'system',
      'attempt_started',
      'attempt_ended',
      'finished',
    ],
  )
  assert.deepEqual(
    items.map(({ at }) => at),
    items.map(({ at }) => at).toSorted(),
  )
  assert.match(items[0]!.message, /^POST \/api\/v1\/jobs from .* \(api\)$/)
  assert.deepEqual([items[1]!.worker, items[1]!.attempt], [WORKER, 1])
  assert.deepEqual([items[3]!.level, items[3]!.data], ['warn', { ms: 900 }])
  assert.match(items[5]!.message, /Attempt 1 failed after .*: broken pipe/)
  assert.equal(items[5]!.level, 'error')
  assert.match(items[6]!.message, /Run again by static key/)
  assert.equal(items[9]!.message, 'Job completed')
})

test('A long timeline is read page by page, from either end, and its cursors serve no other list.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client)
  const events = Array.from({ length: 700 }, (_, index) => ({ message: `step ${index}` }))
  for (const _ of [1, 2]) expectStatus(await client.post(`/api/v1/jobs/${held.id}/events`, { json: { events } }), 201)
  await report(client, held, { outcome: 'completed' })
  const path = `/jobs/${held.id}/timeline`
  const first = await read<Listed<TimelineEntry>>(client, path)
  assert.equal(first.items.length, 1_000)
  const second = await read<Listed<TimelineEntry>>(client, `${path}?cursor=${first.next}`)
  assert.equal(second.next, null)
  const whole = [...first.items, ...second.items]
  assert.deepEqual(
    whole.filter(({ kind }) => kind === 'event').map(({ message }) => message),
    [...events, ...events].map(({ message }) => message),
  )
  assert.deepEqual([whole.length, whole.at(-1)!.kind], [1_404, 'finished'])
  const newest = await read<Listed<TimelineEntry>>(client, `${path}?order=desc&limit=3`)
  assert.deepEqual(newest.items, whole.slice(-3).toReversed())
  const before = await read<Listed<TimelineEntry>>(client, `${path}?order=desc&limit=3&cursor=${newest.next}`)
  assert.deepEqual(before.items, whole.slice(-6, -3).toReversed())

  const other = await submit(client)
  for (const refused of [
    `${path}?cursor=${newest.next}`,
    `${path}?cursor=x`,
    `${path}?cursor=${first.next!.split('.')[0]}`,
    `/jobs/${other}/timeline?cursor=${first.next}`,
    `/jobs/${held.id}/events?cursor=${first.next}`,
  ])
    expectProblem(await client.get(`/api/v1${refused}`), 400, 'invalid_cursor')
})

test('A pending job is cancelled at once, with the reason given, and does not start any more.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  const job = bodyOf<Job>(await client.post(`/api/v1/jobs/${id}/cancel`, { json: { reason: 'ordered twice' } }))
  assert.deepEqual([job.state, job.reason], ['cancelled', 'ordered twice'])
  assert.notEqual(job.finishedAt, null)
  assert.deepEqual(await claim(client), [])
  assert.deepEqual(await messagesOf(client, id), ['Cancel requested by static key: ordered twice'])
  expectProblem(await client.post(`/api/v1/jobs/${id}/cancel`), 409, 'job_finished')
})

test('A running job is cancelled through its worker’s next heartbeat, and is cancelled when that reports so.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client)
  assert.equal(await commandFor(client, held), 'continue')
  const asked = bodyOf<Job>(await client.post(`/api/v1/jobs/${held.id}/cancel`))
  assert.deepEqual([asked.state, asked.cancelRequested], ['running', true])
  assert.equal(await commandFor(client, held), 'cancel')
  assert.equal(await commandFor(client, held), 'cancel', 'as often as it asks')
  await report(client, held, { outcome: 'cancelled' })
  assert.equal((await detail(client, held.id)).state, 'cancelled')
  assert.deepEqual((await attempts(client, held.id))[0]!.outcome, 'cancelled')
})

test('A job whose worker completes it although it was asked to cancel is completed; one that fails is cancelled.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [outcome, state] of [
    ['completed', 'completed'],
    ['failed', 'cancelled'],
    ['snoozed', 'cancelled'],
    ['released', 'cancelled'],
  ] as const) {
    const held = await start(client)
    expectStatus(await client.post(`/api/v1/jobs/${held.id}/cancel`), 200)
    await report(client, held, { outcome, ...(outcome === 'snoozed' && { delaySeconds: 1 }) })
    assert.equal((await detail(client, held.id)).state, state, outcome)
  }
})

test('A finished job runs again with all its attempts, and with another payload if one is given.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const state of ['completed', 'cancelled', 'dead'] as const) {
    const id = await finish(client, state, { payload: { n: 1 }, maxAttempts: 2, backoff: NO_BACKOFF })
    const retried = bodyOf<Job>(await client.post(`/api/v1/jobs/${id}/retry`))
    assert.deepEqual([retried.state, retried.attempt, retried.finishedAt, retried.reason], ['pending', 0, null, null])
    const first = await claimOne(client)
    assert.deepEqual([first.id, first.attempt, first.payload], [id, 1, { n: 1 }])
    await report(client, first, { outcome: 'failed', error: 'x' })
    await report(client, await claimOne(client), { outcome: 'failed', error: 'x' })
    assert.equal((await detail(client, id)).state, 'dead')
    expectStatus(await client.post(`/api/v1/jobs/${id}/retry`, { json: { payload: [2] } }), 200)
    const second = await claimOne(client)
    assert.deepEqual([second.id, second.payload], [id, [2]])
    await report(client, second, { outcome: 'completed' })
    const { payload, attempts } = await detail(client, id)
    assert.deepEqual([payload, attempts.length], [[2], 4])
  }
})

test('A job that has not finished cannot be retried, nor one whose unique key another job holds.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  expectProblem(await client.post(`/api/v1/jobs/${id}/retry`), 409, 'job_not_finished')
  await claimOne(client)
  expectProblem(await client.post(`/api/v1/jobs/${id}/retry`), 409, 'job_not_finished')
  const dead = await finish(client, 'dead', { uniqueKey: 'u' })
  await submit(client, { uniqueKey: 'u' })
  expectProblem(await client.post(`/api/v1/jobs/${dead}/retry`), 409, 'unique_key_taken')
})

test('PATCH changes a pending job: it starts earlier, later, or is found by other labels.', async (t) => {
  const { client } = await startOctoflow(t)
  const [first, second, third] = [await submit(client), await submit(client), await submit(client, { delaySeconds: 3600 })]
  const patch = (id: number, json: object): Promise<Answer> => client.patch(`/api/v1/jobs/${id}`, { json })
  assert.equal(bodyOf<Job>(await patch(second, { priority: 0 })).priority, 0)
  const later = new Date(Date.now() + 3_600_000).toISOString()
  assert.equal(bodyOf<Job>(await patch(first, { runAt: later })).runAt, later)
  bodyOf<Job>(await patch(third, { runAt: '2026-01-01T00:00:00Z', labels: { moved: 'yes' } }))
  assert.deepEqual(
    (await claim(client, { limit: 10 })).map(({ id }) => id),
    [second, third],
  )
  assert.deepEqual(
    (await read<Listed<Job>>(client, '/jobs?label=moved=yes')).items.map(({ id }) => id),
    [third],
  )
  assert.deepEqual(await messagesOf(client, third), ['Changed by static key: labels, runAt'])
  expectProblem(await patch(second, { priority: 1 }), 409, 'job_running')
  expectProblem(await patch(await finish(client, 'dead'), { priority: 1 }), 409, 'job_finished')
  for (const json of [{}, null, { priority: 10 }, { queue: 'x' }, { runAt: 'now' }])
    expectProblem(await patch(first, json as object), 400, 'invalid_body')
})

test('A job that PATCH makes due is given to who waits for one.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, { delaySeconds: 3600 })
  const waiting = claimOne(client, { waitSeconds: 20 })
  expectStatus(await client.patch(`/api/v1/jobs/${id}`, { json: { runAt: '2026-01-01T00:00:00Z' } }), 200)
  assert.equal((await waiting).id, id)
})

test('DELETE removes a job with all that hangs on it, in whatever state, and its worker is told that it is lost.', async (t) => {
  const { client } = await startOctoflow(t)
  const running = await start(client, { uniqueKey: 'u', concurrencyKey: 'k' })
  const pending = await submit(client)
  for (const id of [running.id, pending, await finish(client, 'dead', { queue: 'other' })]) {
    expectStatus(await client.delete(`/api/v1/jobs/${id}`), 204)
    for (const path of ['', '/timeline', '/waiting', '/events'])
      expectProblem(await client.get(`/api/v1/jobs/${id}${path}`), 404, 'job_not_found')
    expectProblem(await client.get(`/api/v1/requests/${id}`), 404, 'request_not_found')
    expectProblem(await client.delete(`/api/v1/jobs/${id}`), 404, 'job_not_found')
  }
  assert.equal(await commandFor(client, running), 'lost')
  const [answer] = await tryReport(client, [reportOf(running, { outcome: 'completed' })])
  assert.deepEqual([answer!.ok, answer!.code], [false, 'job_not_found'])
  const next = await start(client, { uniqueKey: 'u', concurrencyKey: 'k' })
  assert.ok(next.id > running.id, 'its keys are free, its id is not given again')
})

test('An id that names no job is 404 to every call.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const id of ['7', '0', '-1', '1.5', 'abc', '01', '9'.repeat(30), '1e3', '%00'])
    for (const [method, path, json] of [
      ['GET', '', undefined],
      ['GET', '/timeline', undefined],
      ['GET', '/waiting', undefined],
      ['GET', '/events', undefined],
      ['POST', '/events', { message: 'x' }],
      ['POST', '/cancel', undefined],
      ['POST', '/retry', undefined],
      ['PATCH', '', { priority: 1 }],
      ['DELETE', '', undefined],
    ] as const) {
      const answer = await client.call(method, `/api/v1/jobs/${id}${path}`, json === undefined ? {} : { json })
      expectProblem(answer, 404, 'job_not_found')
    }
})

test('A job that has not changed since is 304 to a reader who has it already.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  const etag = (await client.get(`/api/v1/jobs/${id}`)).headers.get('etag')!
  const again = () => client.get(`/api/v1/jobs/${id}`, { headers: { 'if-none-match': `"other", W/${etag}` } })
  expectStatus(await again(), 304)
  await claimOne(client)
  const changed = await again()
  assert.equal(bodyOf<JobDetail>(changed).state, 'running')
  assert.notEqual(changed.headers.get('etag'), etag)
})

test('Events are kept with kind, level, data and time, and listed in order, forwards and backwards.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  const post = (json: unknown): Promise<Answer> => client.post(`/api/v1/jobs/${id}/events`, { json })
  assert.deepEqual(bodyOf<{ ids: number[] }>(await post({ message: 'one', at: '2026-05-06T07:08:09.123456Z' }), 201).ids, [1])
  const events = [
    { message: 'two', kind: 'log', level: 'debug', data: [1, { x: null }] },
    { message: '', kind: 'event', level: 'error', data: 'text' },
  ]
  assert.deepEqual(bodyOf<{ ids: number[] }>(await post({ events }), 201).ids, [2, 3])
  const { items } = await read<Listed<Record<string, unknown>>>(client, `/jobs/${id}/events`)
  assert.deepEqual(items[0], {
    id: 1,
    jobId: id,
    at: '2026-05-06T07:08:09.123456Z',
    kind: 'event',
    level: 'info',
    message: 'one',
  })
  for (const [index, event] of events.entries()) {
    const { at: _, id: __, jobId: ___, ...rest } = items[index + 1]!
    assert.deepEqual(rest, event)
  }
  const page = await read<Listed<{ id: number }>>(client, `/jobs/${id}/events?order=desc&limit=2`)
  assert.deepEqual(
    page.items.map((event) => event.id),
    [3, 2],
  )
  const rest = await read<Listed<{ id: number }>>(client, `/jobs/${id}/events?order=desc&limit=2&cursor=${page.next}`)
  assert.deepEqual(
    rest.items.map((event) => event.id),
    [1],
  )
  for (const json of [{}, { message: 1 }, { message: 'x', kind: 'system' }, { message: 'x', at: 'now' }, { events: [] }, null])
    expectProblem(await post(json), 400, 'invalid_body')
})

test('A job that came in by the capture API is seen and steered like any other.', async (t) => {
  const { client } = await startOctoflow(t)
  expectStatus(await client.post('/request?custom_value=App', { json: { a: 1 } }), 200)
  const held = await claimOne(client, { queue: 'App' })
  assert.deepEqual([held.payload, held.request.customValue, held.request.method], [{ a: 1 }, 'App', 'POST'])
  await report(client, held, { outcome: 'completed', result: 7 })
  const { state, result } = await detail(client, held.id)
  assert.deepEqual([state, result], ['completed', 7])
  assert.equal((await read<Listed<{ source: string }>>(client, `/requests?queue=${QUEUE},App`)).items[0]!.source, 'capture')
})
