import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aborted, gate, setUp, setUpWithClock } from './support/setup.ts'

test('Stopping finishes what is in hand, reports it and claims no more.', async (t) => {
  const done = gate()
  const { server, worker } = setUp(t, { concurrency: 1, process: () => done.opened })
  const [held, waiting] = [server.submit('q'), server.submit('q')]
  await worker.start()
  await server.untilState(held, 'running')
  const stopped = worker.stop()
  done.open()
  await stopped
  assert.equal(held.state, 'completed')
  assert.equal(waiting.state, 'pending')
  assert.equal(server.pollsWaiting, 0)
})

test('An idle worker stops at once, its waiting claim hung up.', async (t) => {
  const { server, worker } = setUp(t, { queues: ['a', 'b'], process: () => true })
  await worker.start()
  await server.until(() => server.pollsWaiting === 2)
  await worker.stop()
  assert.equal(server.pollsWaiting, 0)
})

test('A job that was claimed while the worker stopped is given back unstarted.', async (t) => {
  let started = 0
  const onItsWay = gate()
  const { server, worker } = setUp(t, { process: () => void started++ })
  server.intercept('claim', async (proceed) => {
    const answer = await proceed()
    await onItsWay.opened
    return answer
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilState(job, 'running')
  const stopped = worker.stop()
  onItsWay.open()
  await stopped
  assert.deepEqual(job.outcomes, ['released'])
  assert.equal(started, 0)
})

test('When the time to stop is up, signals fire: who obeys is given back, and who completes has completed.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, {
    concurrency: 3,
    process: async (request, job) => {
      await aborted(job.signal)
      assert.equal(job.signal.reason.code, 'shutdown')
      if (request.body === 'throws') throw job.signal.reason
      return request.body !== 'returns false'
    },
  })
  const jobs = ['throws', 'returns false', 'completes'].map((what) => server.submit('q', what))
  await worker.start()
  await clock.advance(1)
  const stopped = worker.stop({ timeoutSeconds: 10 })
  await clock.advance(9_999)
  assert.deepEqual(new Set(jobs.map(({ state }) => state)), new Set(['running']))
  await clock.advance(1)
  await stopped
  assert.deepEqual(
    jobs.map(({ outcomes }) => outcomes),
    [['released'], ['released'], ['completed']],
  )
})

test('A handler that does not obey at the end is given back a second later, and holds the stop up no longer.', async (t) => {
  const { server, worker, clock, log } = setUpWithClock(t, { process: () => new Promise(() => undefined) })
  const job = server.submit('q', {}, { timeoutSeconds: 3_600 })
  await worker.start()
  await clock.advance(1)
  const stopped = worker.stop({ timeoutSeconds: 10 })
  await clock.advance(10_999)
  assert.equal(job.state, 'running')
  await clock.advance(1)
  await stopped
  assert.deepEqual(job.outcomes, ['released'])
  assert.equal(log.matching(/handler goes on/).length, 1)
  assert.equal(clock.timers, 0)
})

test('A later call hastens an earlier one, and cannot put it off.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, {
    process: async (_request, job) => {
      await aborted(job.signal)
      throw job.signal.reason
    },
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(1)
  const stops = [worker.stop(), worker.stop({ timeoutSeconds: 5 }), worker.stop({ timeoutSeconds: 60 }), worker.drain()]
  await clock.advance(4_999)
  assert.equal(job.state, 'running')
  await clock.advance(1)
  await Promise.all(stops)
  assert.deepEqual(job.outcomes, ['released'])
})

test('Outcomes are reported for as long as the stop may take and five seconds more; then the loss is logged.', async (t) => {
  const { server, worker, clock, log } = setUpWithClock(t, { process: () => true })
  for (let call = 0; call < 100; call++) server.intercept('report', () => Promise.reject(new Error('down')))
  server.submit('q')
  await worker.start()
  await clock.advance(1)
  let over = false
  const stopped = worker.stop({ timeoutSeconds: 60 }).then(() => {
    over = true
  })
  await clock.advance(64_999)
  assert.equal(over, false)
  await clock.advance(1)
  await stopped
  assert.deepEqual(log.matching(/outcomes that the server was not told/)[0]?.fields, { unreported: 1 })
  assert.equal(clock.timers, 0)
})

test('A server that comes back during the stop is told all.', async (t) => {
  const { server, worker, clock, log } = setUpWithClock(t, { process: () => 'kept' })
  for (let call = 0; call < 8; call++) server.intercept('report', () => Promise.reject(new Error('down')))
  const job = server.submit('q')
  await worker.start()
  await clock.advance(1)
  const stopped = worker.stop({ timeoutSeconds: 60 })
  await clock.advance(40_000)
  await stopped
  assert.equal(job.result, 'kept')
  assert.deepEqual(log.matching(/was not told/), [])
})

test('When the time to stop is up, what waits to be reported is tried at once.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { process: () => 'kept' })
  for (let call = 0; call < 8; call++) server.intercept('report', () => Promise.reject(new Error('down')))
  const job = server.submit('q')
  await worker.start()
  const stopped = worker.stop({ timeoutSeconds: 15 })
  await clock.advance(14_900)
  assert.equal(server.callsOf('report').length, 8)
  await clock.advance(100)
  await stopped
  assert.equal(job.result, 'kept')
})

test('A claim, a heartbeat, an event and a report that never answer do not keep the worker from ending.', async (t) => {
  const never = (): Promise<never> => new Promise(() => undefined)
  const { server, worker, clock } = setUpWithClock(t, {
    process: (_request, job) => {
      void job.event('never stored')
      return new Promise(() => undefined)
    },
  })
  server.intercept('event', never)
  server.intercept('heartbeat', never)
  server.intercept('claim', (proceed) => proceed())
  server.intercept('claim', never)
  server.submit('q')
  await worker.start()
  await clock.advance(12_000)
  server.intercept('report', never)
  const stopped = worker.stop({ timeoutSeconds: 0 })
  await clock.advance(5_000)
  await stopped
  assert.equal(clock.timers, 0)
})

test('Start and stop may come in any order and any number.', async (t) => {
  const { server, worker } = setUp(t, { process: () => true })
  await worker.stop()
  await Promise.all([
    worker.start(),
    worker.start(),
    worker.stop(),
    worker.stop(),
    worker.start(),
    worker.drain(),
    worker.start(),
  ])
  await server.until(() => server.pollsWaiting === 1)
  const job = server.submit('q')
  await server.untilState(job, 'completed')
  await worker.stop()
  await worker.stop()
  assert.equal(server.pollsWaiting, 0)
  assert.equal(worker.id, null)
})

test('A worker has a new id at each start.', async (t) => {
  const { worker } = setUp(t, { name: 'mill', process: () => true })
  await worker.start()
  const first = worker.id!
  await worker.stop()
  await worker.start()
  assert.match(first, /^mill-\d+-[0-9a-f]{8}$/)
  assert.notEqual(worker.id, first)
})

test('A worker may be bound to a block, and leaves the transport it was given open.', async (t) => {
  const { server, worker } = setUp(t, { process: () => true })
  {
    await using bound = worker
    await bound.start()
    await server.until(() => server.pollsWaiting === 1)
  }
  assert.equal(worker.id, null)
  assert.equal(server.closed, false)
})

test('stop() refuses a time that is none.', (t) => {
  const { worker } = setUp(t, { process: () => true })
  assert.throws(() => void worker.stop({ timeoutSeconds: -1 }), /timeoutSeconds must be a number of seconds, 0 or more, not -1/)
})
