import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransportError } from '../src/transport.ts'
import { gate, setUp, setUpWithClock } from './support/setup.ts'

const limits = (calls: readonly { readonly limit: number }[]): number[] => calls.map(({ limit }) => limit)

test('A claim asks for as many jobs as there are free slots, and none is made while there are none.', async (t) => {
  const done = gate()
  const { server, worker } = setUp(t, { concurrency: 3, process: () => done.opened })
  const jobs = [1, 2, 3, 4].map((n) => server.submit('q', n))
  await worker.start()
  await server.untilState(jobs[2]!, 'running')
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(limits(server.callsOf('claim')), [3])
  done.open()
  await server.untilState(jobs[3]!, 'completed')
  assert.deepEqual(limits(server.callsOf('claim')).slice(0, 2), [3, 3])
})

test('There is one claim at a time, and it waits for a job.', async (t) => {
  const { server, worker } = setUp(t, { concurrency: 4, process: () => true })
  await worker.start()
  await server.until(() => server.pollsWaiting === 1)
  const first = server.submit('q')
  await server.untilState(first, 'completed')
  await server.until(() => server.pollsWaiting === 1)
  const calls = server.callsOf('claim')
  assert.equal(calls.length, 2)
  assert.equal(calls[0]!.waitSeconds, 15)
  assert.equal(calls[0]!.leaseSeconds, 30)
})

test('A claim waits for half a lease, and never for longer than 20 s.', async (t) => {
  for (const [leaseSeconds, waitSeconds] of [
    [2, 1],
    [40, 20],
    [3_600, 20],
  ] as const) {
    const { server, worker } = setUp(t, { leaseSeconds, process: () => true })
    await worker.start()
    await server.until(() => server.pollsWaiting === 1)
    assert.equal(server.callsOf('claim')[0]!.waitSeconds, waitSeconds)
  }
})

test('Jobs in an answer that may be older than their leases are given back, not begun.', async (t) => {
  const begun: unknown[] = []
  const { server, worker, clock } = setUpWithClock(t, {
    leaseSeconds: 30,
    process: ({ body }) => {
      begun.push(body)
      return true
    },
  })
  const late = gate()
  server.intercept('claim', async (proceed) => {
    const answer = await proceed()
    await late.opened
    return answer
  })
  const job = server.submit('q', 'old')
  await worker.start()
  await clock.advance(30_000)
  assert.equal(job.state, 'running')
  server.expire(job)
  server.submit('q', 'new')
  late.open()
  await server.untilState(job, 'completed')
  assert.deepEqual(begun.toSorted(), ['new', 'old'], 'each was begun once, the old one when it was claimed again')
  assert.deepEqual(job.outcomes, ['completed'])
})

test('However handlers and claims overlap, all slots are used and never more.', async (t) => {
  const running = { now: 0, most: 0 }
  const { server, worker } = setUp(t, {
    concurrency: 5,
    process: async () => {
      running.most = Math.max(running.most, ++running.now)
      await new Promise((resolve) => setImmediate(resolve))
      running.now--
    },
  })
  const jobs = Array.from({ length: 200 }, (_, n) => server.submit('q', n))
  await worker.start()
  await server.until(() => jobs.every(({ state }) => state === 'completed'))
  assert.equal(running.most, 5)
})

test('Two busy queues share the slots equally.', async (t) => {
  const running = { a: 0, b: 0 }
  const done = gate()
  const { server, worker } = setUp(t, {
    queues: ['a', 'b'],
    concurrency: 6,
    process: (_request, job) => {
      running[job.queue as 'a' | 'b']++
      return done.opened
    },
  })
  for (let n = 0; n < 20; n++) for (const queue of ['a', 'b']) server.submit(queue, n)
  await worker.start()
  await server.until(() => running.a + running.b === 6)
  assert.deepEqual(running, { a: 3, b: 3 })
  assert.deepEqual(limits(server.callsOf('claim')), [3, 3])
  done.open()
})

test('With one slot, two busy queues take turns.', async (t) => {
  const order: string[] = []
  const { server, worker } = setUp(t, {
    queues: ['a', 'b'],
    concurrency: 1,
    process: (_request, job) => {
      order.push(job.queue)
    },
  })
  const jobs = [0, 1, 2].flatMap(() => ['a', 'b'].map((queue) => server.submit(queue)))
  await worker.start()
  await server.until(() => jobs.every(({ state }) => state === 'completed'))
  assert.deepEqual(order, ['a', 'b', 'a', 'b', 'a', 'b'])
})

test('A queue without jobs keeps no slot from the one that has some.', async (t) => {
  const done = gate()
  const { server, worker } = setUp(t, { queues: ['idle', 'busy'], concurrency: 4, process: () => done.opened })
  await worker.start()
  await server.until(() => server.pollsWaiting === 2)
  const jobs = [1, 2, 3, 4].map((n) => server.submit('busy', n))
  await server.until(() => jobs.every(({ state }) => state === 'running'))
  done.open()
})

test('A job that comes for a watched queue when the last slot has gone is given back, and has the next turn.', async (t) => {
  const held = gate()
  const { server, worker } = setUp(t, { queues: ['a', 'b'], concurrency: 1, process: () => held.opened })
  await worker.start()
  await server.until(() => server.pollsWaiting === 2)
  const first = server.submit('a')
  await server.untilState(first, 'running')
  const second = server.submit('b')
  await server.untilOutcomes(second, 1)
  assert.deepEqual(second.outcomes, ['released'])
  server.submit('a')
  held.open()
  await server.until(() => second.outcomes.length === 2)
  assert.deepEqual(second.outcomes, ['released', 'completed'])
  const [, next] = server.callsOf('report').flatMap(({ jobs }) => jobs.filter(({ outcome }) => outcome === 'completed'))
  assert.equal(next?.id, second.id)
})

test('A server that answers at once that there is nothing is not asked without end.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { process: () => true })
  for (let call = 0; call < 20; call++) server.intercept('claim', async () => ({ jobs: [], drain: false }))
  const job = server.submit('q')
  await worker.start()
  await clock.advance(5_000)
  assert.ok(server.callsOf('claim').length < 10, `${server.callsOf('claim').length} calls in 5 s`)
  await clock.advance(200_000)
  assert.equal(job.state, 'completed')
})

test('A server that answers at the end of a short wait is asked again at once.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { leaseSeconds: 1, process: () => true })
  await worker.start()
  for (let asked = 1; asked <= 10; asked++) {
    await server.until(() => server.pollsWaiting === 1)
    assert.equal(server.callsOf('claim').length, asked)
    await clock.advance(500)
    server.answerPolls()
  }
})

test('A failing claim is repeated with growing pauses up to 10 s, and the outage is logged once, as is its end.', async (t) => {
  const { server, worker, clock, log } = setUpWithClock(t, { process: () => true })
  for (let call = 0; call < 12; call++) server.intercept('claim', () => Promise.reject(new Error('connection refused')))
  const job = server.submit('q')
  await worker.start()
  const pauses: number[] = []
  for (let call = 0; call < 12; call++) {
    const before = server.callsOf('claim').length
    let waited = 0
    while (server.callsOf('claim').length === before) {
      await clock.advance(100)
      waited += 100
    }
    pauses.push(waited)
  }
  await server.untilState(job, 'completed')
  assert.deepEqual(pauses.slice(0, 7), [100, 200, 400, 800, 1_600, 3_200, 6_400])
  assert.deepEqual(new Set(pauses.slice(7)), new Set([10_000]))
  const [outage] = log.matching(/cannot serve this worker/)
  assert.deepEqual(outage, {
    level: 'warn',
    message: 'The server cannot serve this worker; trying until it can.',
    fields: { during: 'claiming jobs of q', error: 'connection refused' },
  })
  assert.equal(log.matching(/cannot serve this worker/).length, 1)
  assert.equal(log.matching(/serves this worker again/).length, 1)
})

test('Retry-After is respected.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { process: () => true })
  const busy = new TransportError('unavailable', 'overloaded', 'The server is overloaded.', { retryAfterMs: 7_000 })
  server.intercept('claim', () => Promise.reject(busy))
  const job = server.submit('q')
  await worker.start()
  await clock.advance(6_900)
  assert.equal(server.callsOf('claim').length, 1)
  await clock.advance(200)
  assert.equal(job.state, 'completed')
})

test('A worker whose credential is refused ends, and run() says why.', async (t) => {
  const { server, worker } = setUp(t, { process: () => true, signals: false })
  const refusal = new TransportError(
    'refused',
    'unauthorized',
    'http://x answered 401 (unauthorized). No valid credential was sent.',
  )
  server.intercept('claim', () => Promise.reject(refusal))
  await assert.rejects(worker.run(), refusal)
})

test('A wrong address ends the worker when it starts, but not one that has worked before.', async (t) => {
  const lost = new TransportError('misdirected', 'http_404', 'http://x answered 404 (http_404).')
  const never = setUp(t, { process: () => true, signals: false })
  never.server.intercept('claim', () => Promise.reject(lost))
  await assert.rejects(never.worker.run(), lost)

  const before = setUpWithClock(t, { process: () => true })
  const first = before.server.submit('q')
  await before.worker.start()
  await before.server.untilState(first, 'completed')
  await before.server.until(() => before.server.pollsWaiting === 1)
  before.server.intercept('claim', () => Promise.reject(lost))
  before.server.answerPolls()
  await before.clock.advance(0)
  assert.equal(before.server.callsOf('claim').length, 3)
  const second = before.server.submit('q')
  await before.clock.advance(1_000)
  assert.equal(second.state, 'completed')
})

test('Nothing is claimed while outcomes cannot be reported.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { concurrency: 1, process: () => true })
  for (let call = 0; call < 3; call++) server.intercept('report', () => Promise.reject(new Error('disk full')))
  const jobs = [1, 2, 3].map((n) => server.submit('q', n))
  await worker.start()
  // The second was claimed before the first report had failed; the third must wait until a report has been taken.
  await clock.advance(600)
  assert.equal(server.callsOf('report').length, 3)
  assert.deepEqual(
    jobs.map(({ state }) => state),
    ['running', 'running', 'pending'],
  )
  await clock.advance(200)
  assert.deepEqual(
    jobs.map(({ state }) => state),
    ['completed', 'completed', 'completed'],
  )
})
