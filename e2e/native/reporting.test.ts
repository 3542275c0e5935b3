import assert from 'node:assert/strict'
import { test } from 'node:test'
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
  report,
  reportOf,
  start,
  submit,
  tryReport,
} from './native.ts'

const NO_BACKOFF = { baseSeconds: 0, factor: 1, maxSeconds: 0, jitter: 0 }

test('A report’s outcome decides what becomes of the job.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [what, expected] of [
    [
      { outcome: 'completed', result: { a: [1] } },
      { state: 'completed', result: { a: [1] }, error: null, reason: null, attempt: 1 },
    ],
    [{ outcome: 'completed' }, { state: 'completed', result: null, error: null, reason: null, attempt: 1 }],
    [
      { outcome: 'failed', error: 'broken' },
      { state: 'pending', result: null, error: { message: 'broken', code: null, detail: null }, reason: null, attempt: 1 },
    ],
    [
      { outcome: 'failed' },
      {
        state: 'pending',
        result: null,
        error: { message: 'The worker gave no reason.', code: null, detail: null },
        reason: null,
        attempt: 1,
      },
    ],
    [
      { outcome: 'snoozed', delaySeconds: 60 },
      { state: 'pending', result: null, error: null, reason: null, attempt: 0 },
    ],
    [{ outcome: 'released' }, { state: 'pending', result: null, error: null, reason: null, attempt: 0 }],
    [
      { outcome: 'cancelled', reason: 'obsolete' },
      { state: 'cancelled', result: null, error: null, reason: 'obsolete', attempt: 1 },
    ],
    [
      { outcome: 'discarded', reason: 'no such customer', error: { code: 'E404' } },
      {
        state: 'dead',
        result: null,
        error: { message: 'discarded', code: 'E404', detail: null },
        reason: 'no such customer',
        attempt: 1,
      },
    ],
    [{ outcome: 'discarded' }, { state: 'dead', result: null, error: null, reason: 'discarded', attempt: 1 }],
  ] as const) {
    const held = await start(client, { queue: `q-${JSON.stringify(what)}` })
    await report(client, held, what)
    const { state, result, error, reason, attempt, attempts } = await detail(client, held.id)
    assert.deepEqual({ state, result, error, reason, attempt }, expected, JSON.stringify(what))
    assert.equal(attempts.at(-1)!.outcome, what.outcome)
  }
})

test('A snoozed job waits as long as asked, and starts again as the same attempt.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client)
  await report(client, held, { outcome: 'snoozed', delaySeconds: 0.5 })
  const { runAt, attempts } = await detail(client, held.id)
  assert.equal(Date.parse(runAt) - Date.parse(attempts[0]!.finishedAt!), 500)
  const again = await claimOne(client, { waitSeconds: 30 })
  assert.deepEqual([again.id, again.attempt], [held.id, 1])
  assert.ok(Date.now() >= Date.parse(runAt))
})

test('A result is any JSON value, kept byte for byte.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const result of ['null', '0', '"x"', '[1.0]', '{"a":1,"a":2}', '12345678901234567890']) {
    const { id, leaseToken } = await start(client)
    const body = `{"workerId":"w","jobs":[{"id":${id},"leaseToken":"${leaseToken}","outcome":"completed","result":${result}}]}`
    expectStatus(await client.post('/api/v1/jobs/report', { body, type: 'application/json' }), 200)
    assert.ok((await client.get(`/api/v1/jobs/${id}`)).text.includes(`"result":${result}`), result)
  }
})

for (const [status, state, outcome] of [
  ['Completed', 'completed', 'failed'],
  ['Error', 'dead', 'completed'],
  ['Cancelled', 'cancelled', 'completed'],
  ['Pending', 'pending', 'completed'],
] as const)
  test(`A worker whose job was set to ${status} without a token has lost it: its heartbeat is told so, its report refused.`, async (t) => {
    const { client } = await startOctoflow(t)
    const held = await start(client)
    expectStatus(await client.put(`/jobs/${held.id}/update-status`, { json: { status } }), 200)
    assert.equal(await commandFor(client, held), 'lost')
    const [refused] = await tryReport(client, [reportOf(held, { outcome, events: [{ message: 'never' }] })])
    assert.deepEqual([refused!.ok, refused!.code], [false, 'lease_lost'])
    assert.equal((await detail(client, held.id)).state, state)
  })

test('A report that is repeated is ok without effect, a different one after it is refused.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const outcome of ['completed', 'failed', 'snoozed', 'discarded', 'cancelled', 'released'] as const) {
    const held = await start(client, { queue: outcome })
    const first = reportOf(held, { outcome, events: [{ message: 'once' }], ...(outcome === 'snoozed' && { delaySeconds: 9 }) })
    for (let time = 0; time < 3; time++)
      assert.deepEqual(await tryReport(client, [first]), [{ id: held.id, ok: true }], outcome)
    const events = bodyOf<{ items: unknown[] }>(await client.get(`/api/v1/jobs/${held.id}/events`)).items
    assert.equal(events.length, 1, 'its events are recorded once')
    assert.equal((await attempts(client, held.id)).length, 1)
    const other = outcome === 'completed' ? 'failed' : 'completed'
    const [refused] = await tryReport(client, [reportOf(held, { outcome: other })])
    assert.deepEqual([refused!.ok, refused!.code], [false, 'lease_lost'], outcome)
  }
})

test('Each report of a batch has its own answer, and one that cannot be served leaves the others alone.', async (t) => {
  const { client } = await startOctoflow(t)
  const [first, second, third] = [await start(client), await start(client), await start(client)]
  const answers = await tryReport(client, [
    reportOf(first, { outcome: 'completed', result: 1 }),
    { id: 4_711, leaseToken: '1', outcome: 'completed' },
    reportOf({ id: second.id, leaseToken: '77' }, { outcome: 'completed' }),
    reportOf(third, { outcome: 'failed', error: 'x' }),
  ])
  assert.deepEqual(
    answers.map(({ id, ok, code = null }) => [id, ok, code]),
    [
      [first.id, true, null],
      [4_711, false, 'job_not_found'],
      [second.id, false, 'lease_lost'],
      [third.id, true, null],
    ],
  )
  assert.deepEqual([(await detail(client, second.id)).state, (await detail(client, third.id)).state], ['running', 'pending'])
})

test('A call that does not fit its schema is 400, and nothing of it is done.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client)
  const { id, leaseToken } = held
  for (const jobs of [
    undefined,
    {},
    [{ id, leaseToken }],
    [{ id, leaseToken, outcome: 'done' }],
    [{ id, leaseToken, outcome: 'failed', error: 7 }],
    [{ id: 'x', leaseToken, outcome: 'completed' }],
    [{ id, leaseToken: 1, outcome: 'completed' }],
    [{ id, leaseToken, outcome: 'completed', events: [{}] }],
  ])
    expectProblem(await client.post('/api/v1/jobs/report', { json: { workerId: 'w', jobs } }), 400, 'invalid_body')
  assert.equal((await detail(client, id)).state, 'running')
  await report(client, held, { outcome: 'completed' })
})

test('A job that fails again and again is dead when its attempts are used up, and tells why.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, { maxAttempts: 2, backoff: NO_BACKOFF })
  for (const error of ['first', 'second']) await report(client, await claimOne(client), { outcome: 'failed', error })
  const { state, reason, error } = await detail(client, id)
  assert.deepEqual([state, reason, error!.message], ['dead', 'attempts_exhausted', 'second'])
  assert.deepEqual(await claim(client), [])
  await finish(client, 'completed')
})

test('A report that cannot be read does not keep the others of its call from being taken.', async (t) => {
  const { client } = await startOctoflow(t)
  const [good, bad] = [await start(client), await start(client)]
  const [taken, refused] = await tryReport(client, [
    reportOf(good, { outcome: 'completed' }),
    reportOf(bad, { outcome: 'snoozed' }),
    reportOf(bad, { outcome: 'completed', events: [{ message: 'x', at: 'now' }] }),
  ])
  assert.equal(taken!.ok, true)
  assert.deepEqual([refused!.id, refused!.ok, refused!.code], [bad.id, false, 'invalid_body'])
  assert.match(refused!.message!, /jobs\[1\]\.delaySeconds/)
  assert.deepEqual([(await detail(client, good.id)).state, (await detail(client, bad.id)).state], ['completed', 'running'])
})
