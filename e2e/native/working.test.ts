import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { RawConnection, requestHead } from '../support/raw-connection.ts'
import { until } from '../support/until.ts'
import {
  attempts,
  bodyOf,
  claim,
  claimOne,
  claimWith,
  commandFor,
  configure,
  detail,
  expectProblem,
  expectStatus,
  heartbeat,
  type Listed,
  QUEUE,
  range,
  read,
  report,
  reportOf,
  start,
  submit,
  submitMany,
  tryReport,
} from './native.ts'

test('A claim gives the job with its lease, its payload and its request; a queue without jobs gives none.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.deepEqual(await claimWith(client), { jobs: [], drain: false })
  const headers = { 'user-agent': 'submitter/1' }
  expectStatus(await client.post('/api/v1/jobs', { json: { queue: QUEUE, payload: [1] }, headers }), 201)
  const before = Date.now()
  const { jobs } = await claimWith(client, { leaseSeconds: 90 })
  const [{ leaseUntil, createdAt, runAt, leaseToken, request, ...job }] = jobs as [(typeof jobs)[number]]
  assert.ok(Date.parse(leaseUntil) >= before + 90_000 - 5 && Date.parse(leaseUntil) <= Date.now() + 90_000 + 5)
  assert.equal(createdAt, runAt)
  assert.ok(leaseToken.length > 0)
  assert.deepEqual(job, {
    id: 1,
    queue: QUEUE,
    attempt: 1,
    maxAttempts: 3,
    priority: 5,
    timeoutSeconds: null,
    concurrencyKey: null,
    labels: {},
    payload: [1],
  })
  assert.deepEqual(
    { ...request, sourceIp: null },
    {
      id: 1,
      timestamp: createdAt,
      sourceIp: null,
      userAgent: 'submitter/1',
      method: 'POST',
      url: '/api/v1/jobs',
      contentType: 'application/json',
      headers: {},
      customValue: QUEUE,
    },
  )
  assert.match(request.sourceIp!, /127\.0\.0\.1/)
})

test('A claim takes up to its limit, and none twice, however many claim at once.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, new Array(1_000).fill({}))
  const taken = await Promise.all(range(1, 60).map((n) => claim(client, { workerId: `w${n}`, limit: 17 })))
  const ids = taken.flat().map(({ id }) => id)
  assert.equal(ids.length, 1_000)
  assert.equal(new Set(ids).size, 1_000)
  assert.ok(taken.every((jobs) => jobs.length <= 17))
  assert.equal((await claim(client, { limit: 1 })).length, 0)
})

test('A claim that does not fit is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const json of [
    {},
    null,
    { workerId: '' },
    { workerId: 7 },
    { workerId: 'w', limit: 0 },
    { workerId: 'w', limit: 1_001 },
    { workerId: 'w', waitSeconds: 61 },
    { workerId: 'w', waitSeconds: -1 },
    { workerId: 'w', leaseSeconds: 0.5 },
    { workerId: 'w', leaseSeconds: 86_401 },
    { workerId: 'w', seconds: 1 },
  ])
    expectProblem(await client.post(`/api/v1/queues/${QUEUE}/claim`, { json }), 400, 'invalid_body')
})

test('No worker is noted for a queue that cannot be.', async (t) => {
  const { client } = await startOctoflow(t)
  const path = `/api/v1/queues/${'q'.repeat(257)}/claim`
  expectProblem(await client.post(path, { json: { workerId: 'w' } }), 404, 'queue_not_found')
  assert.deepEqual(await read<Listed<unknown>>(client, '/workers'), { items: [], next: null })
})

describe('One who waits for jobs', { concurrency: 2 }, () => {
  test('gets the next one as soon as it is there, and an empty list when the wait ends.', async (t) => {
    const { client } = await startOctoflow(t)
    const begun = performance.now()
    assert.deepEqual(await claim(client, { waitSeconds: 0.5 }), [])
    assert.ok(performance.now() - begun >= 490, 'it waited')
    const waiting = claimOne(client, { waitSeconds: 30 })
    const id = await submit(client)
    assert.equal((await waiting).id, id)
  })

  test('shares with the others who wait: each of many jobs wakes one of them, and all jobs are taken.', async (t) => {
    const { client } = await startOctoflow(t)
    for (let round = 0; round < 5; round++) {
      const waiting = range(1, 40).map((n) => claim(client, { workerId: `w${n}`, waitSeconds: 30, limit: 1 }))
      const jobs =
        round % 2 === 0 ? submitMany(client, new Array(40).fill({})) : Promise.all(range(1, 40).map(() => submit(client)))
      const taken = (await Promise.all(waiting)).flat().map(({ id }) => id)
      assert.deepEqual(
        taken.toSorted((a, b) => a - b),
        await jobs,
      )
    }
  })

  test('takes as many as it asked for when many come at once, and leaves the rest to the others.', async (t) => {
    const { client } = await startOctoflow(t)
    const greedy = claim(client, { waitSeconds: 30, limit: 25 })
    await until(async () => bodyOf<{ items: unknown[] }>(await client.get('/api/v1/workers')).items.length === 1, {
      what: 'the worker waits',
    })
    await submitMany(client, new Array(30).fill({}))
    assert.equal((await greedy).length, 25)
    assert.equal((await claim(client, { limit: 30 })).length, 5)
  })

  test('is served the job that another gives back, loses, or makes room for.', async (t) => {
    const { client } = await startOctoflow(t)
    await configure(client, { concurrency: 1 })
    const first = await start(client)
    const second = await submit(client)
    let waiting = claimOne(client, { waitSeconds: 30, workerId: 'worker-2' })
    await report(client, first, { outcome: 'released' })
    const again = await waiting
    assert.equal(again.id, first.id)
    waiting = claimOne(client, { waitSeconds: 30, leaseSeconds: 1 })
    await report(client, again, { outcome: 'completed' })
    assert.equal((await waiting).id, second)
    assert.equal((await claimOne(client, { waitSeconds: 30 })).id, second, 'when the lease ran out')
  })

  test('and goes away takes no job with it.', async (t) => {
    const { client, server } = await startOctoflow(t)
    for (let round = 0; round < 10; round++) {
      const body = JSON.stringify({ workerId: `gone-${round}`, waitSeconds: 60 })
      const gone = new RawConnection(t, server.url)
      const head = requestHead('POST', `/api/v1/queues/${QUEUE}/claim`, {
        'content-type': 'application/json',
        'content-length': String(body.length),
      })
      await gone.send(head + body)
      await until(async () => (await client.get('/api/v1/workers')).text.includes(`"gone-${round}"`), { what: 'it waits' })
      gone.close()
      const id = await submit(client)
      const held = await claimOne(client, { waitSeconds: 10 })
      assert.equal(held.id, id)
      assert.equal(held.attempt, 1, 'a job given back has not used up an attempt')
      await report(client, held, { outcome: 'completed' })
    }
  })

  test('is answered with an empty list when the server stops.', async (t) => {
    const { client, server } = await startOctoflow(t)
    const waiting = claim(client, { waitSeconds: 60 })
    await until(async () => (await client.get('/api/v1/workers')).text.includes('worker-1'), { what: 'it waits' })
    const begun = performance.now()
    await server.stop()
    assert.deepEqual(await waiting, [])
    assert.ok(performance.now() - begun < 30_000)
  })
})

test('A heartbeat prolongs the lease, keeps the progress, and is told to go on.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client, {}, { leaseSeconds: 5 })
  const [beat] = await heartbeat(client, [held], { leaseSeconds: 300, progress: { message: 'well under way' } })
  assert.equal(beat!.command, 'continue')
  assert.ok(Date.parse(beat!.leaseUntil!) > Date.parse(held.leaseUntil) + 290_000)
  const { leaseUntil, progress } = await detail(client, held.id)
  assert.deepEqual([leaseUntil, progress], [beat!.leaseUntil, { fraction: null, message: 'well under way' }])
  await heartbeat(client, [held])
  assert.deepEqual((await detail(client, held.id)).progress, progress, 'a beat without progress leaves it as it was')
})

test('Progress that does not fit costs nobody a lease: what lies beyond counts as the nearest, the rest is left out.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client)
  const text = `${'x'.repeat(1_023)}😀`
  for (const [progress, kept] of [
    [{ fraction: 2 }, { fraction: 1, message: null }],
    [
      { fraction: -0.5, message: 'back' },
      { fraction: 0, message: 'back' },
    ],
    [
      { fraction: '0.5', message: text },
      { fraction: null, message: `${'x'.repeat(1_023)}\uFFFD` },
    ],
    [
      { fraction: 0.5, message: 7, more: 1 },
      { fraction: 0.5, message: null },
    ],
    [{ fraction: 'half' }, { fraction: 0.5, message: null }],
    ['half way', { fraction: 0.5, message: null }],
    [null, { fraction: 0.5, message: null }],
    [{ fraction: null }, { fraction: null, message: null }],
  ] as const) {
    const [beat] = await heartbeat(client, [held], { progress })
    assert.equal(beat!.command, 'continue')
    assert.deepEqual((await detail(client, held.id)).progress, kept)
  }
})

test('Each job of a heartbeat has its own answer: continue, cancel, or lost where the token is not the current one.', async (t) => {
  const { client } = await startOctoflow(t)
  const [first, second, third] = [await start(client), await start(client), await start(client)]
  expectStatus(await client.post(`/api/v1/jobs/${second.id}/cancel`), 200)
  await report(client, third, { outcome: 'completed' })
  const beats = await heartbeat(client, [
    first,
    second,
    third,
    { id: first.id, leaseToken: 'x' },
    { id: first.id, leaseToken: '999' },
    { id: 4_711, leaseToken: first.leaseToken },
  ])
  assert.deepEqual(
    beats.map(({ id, command }) => [id, command]),
    [
      [first.id, 'continue'],
      [second.id, 'cancel'],
      [third.id, 'lost'],
      [first.id, 'lost'],
      [first.id, 'lost'],
      [4_711, 'lost'],
    ],
  )
  assert.ok(beats.every(({ command, leaseUntil }) => (command === 'lost') === (leaseUntil === null)))
  assert.deepEqual(await heartbeat(client, []), [])
})

test('A worker that vanished loses its job when the lease ends: the next attempt goes to another, its own report is refused.', async (t) => {
  const { client } = await startOctoflow(t)
  const lost = await start(client, {}, { leaseSeconds: 1 })
  const taken = await claimOne(client, { waitSeconds: 30, workerId: 'worker-2' })
  assert.deepEqual([taken.id, taken.attempt], [lost.id, 2])
  assert.notEqual(taken.leaseToken, lost.leaseToken)
  assert.equal(await commandFor(client, lost), 'lost')
  const [refused] = await tryReport(client, [reportOf(lost, { outcome: 'completed', result: 'late' })])
  assert.deepEqual([refused!.ok, refused!.code], [false, 'lease_lost'])
  await report(client, taken, { outcome: 'completed', result: 'in time' })
  assert.equal((await detail(client, lost.id)).result, 'in time')
  const [first] = await attempts(client, lost.id)
  assert.deepEqual([first!.outcome, first!.error!.code], ['lease_expired', 'lease_expired'])
})

test('A worker that keeps sending heartbeats keeps its job for many leases.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client, {}, { leaseSeconds: 1 })
  const begun = performance.now()
  await until(
    async () => {
      assert.equal((await heartbeat(client, [held], { leaseSeconds: 1 }))[0]!.command, 'continue')
      return performance.now() - begun > 4_000
    },
    { what: 'four leases have passed', everyMs: 200 },
  )
  assert.equal((await detail(client, held.id)).attempt, 1)
})

test('A worker’s key with a queue scope claims, beats and reports in its queues alone.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'worker', queues: ['mine'] })
  const theirs = await start(client, { queue: 'theirs' })
  const call = { key }
  expectProblem(await client.post('/api/v1/queues/theirs/claim', { key, json: { workerId: 'spy' } }), 403, 'queue_out_of_scope')
  const [beat] = await heartbeat(client, [theirs], { leaseSeconds: 86_400, progress: { message: 'mine now' }, call })
  assert.equal(beat!.command, 'lost')
  const [refused] = await tryReport(client, [reportOf(theirs, { outcome: 'completed' })], call)
  assert.deepEqual([refused!.ok, refused!.code], [false, 'lease_lost'])
  const { state, progress, leaseUntil } = await detail(client, theirs.id)
  assert.deepEqual([state, progress, leaseUntil], ['running', null, theirs.leaseUntil])
  await submit(client, { queue: 'mine' })
  const { jobs } = await claimWith(client, { queue: 'mine' }, call)
  assert.equal((await heartbeat(client, jobs, { call }))[0]!.command, 'continue')
  assert.deepEqual(
    (
      await tryReport(client, [reportOf(theirs, { outcome: 'completed' }), reportOf(jobs[0]!, { outcome: 'completed' })], call)
    ).map(({ id, ok }) => [id, ok]),
    [
      [theirs.id, false],
      [jobs[0]!.id, true],
    ],
  )
})
