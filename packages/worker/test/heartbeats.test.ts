import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HeartbeatParams } from '../src/transport.ts'
import { aborted, gate, setUpWithClock } from './support/setup.ts'

test('All jobs in hand are renewed by one call every third of a lease; without jobs there are no calls.', async (t) => {
  const done = gate()
  const { server, worker, clock } = setUpWithClock(t, { concurrency: 3, leaseSeconds: 30, process: () => done.opened })
  await worker.start()
  await clock.advance(25_000)
  assert.equal(server.callsOf('heartbeat').length, 0)
  const jobs = [server.submit('q'), server.submit('q')]
  await clock.advance(5_000)
  assert.equal(server.callsOf('heartbeat').length, 1)
  await clock.advance(20_000)
  const calls = server.callsOf('heartbeat')
  assert.equal(calls.length, 3)
  assert.deepEqual(calls[0]!.jobs, [
    { id: 1, leaseToken: '1' },
    { id: 2, leaseToken: '1' },
  ])
  assert.equal(calls[0]!.leaseSeconds, 30)
  done.open()
  await clock.advance(60_000)
  assert.equal(server.callsOf('heartbeat').length, 3)
  assert.deepEqual(new Set(jobs.map(({ state }) => state)), new Set(['completed']))
})

test('A job whose report is not answered yet is renewed too.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { process: () => true })
  const answer = gate()
  server.intercept('report', async (proceed) => {
    await answer.opened
    return proceed()
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(20_000)
  assert.equal(server.callsOf('heartbeat').length, 2)
  answer.open()
  await clock.advance(0)
  assert.equal(job.state, 'completed')
})

test('A heartbeat names at most 1000 jobs.', async (t) => {
  const done = gate()
  const { server, worker, clock } = setUpWithClock(t, { concurrency: 2_500, process: () => done.opened })
  for (let n = 0; n < 2_500; n++) server.submit('q', n)
  await worker.start()
  await clock.advance(10_000)
  assert.deepEqual(
    server.callsOf('heartbeat').map(({ jobs }) => jobs.length),
    [1_000, 1_000, 500],
  )
  done.open()
})

test('Progress is told at once, then at most once a second and with the latest news only.', async (t) => {
  const done = gate()
  let tell: (fraction: number) => void = () => undefined
  const { server, worker, clock } = setUpWithClock(t, {
    concurrency: 2,
    process: (request, job) => {
      if (request.body === 'telling') tell = (fraction) => job.progress(fraction, `at ${fraction}`)
      return done.opened
    },
  })
  const job = server.submit('q', 'telling')
  server.submit('q', 'silent')
  await worker.start()
  await clock.advance(1_500)
  tell(0.1)
  await clock.advance(0)
  assert.deepEqual(job.progress, { fraction: 0.1, message: 'at 0.1' })
  for (const fraction of [0.2, 0.3, 0.4]) tell(fraction)
  await clock.advance(900)
  assert.deepEqual(job.progress, { fraction: 0.1, message: 'at 0.1' })
  await clock.advance(100)
  assert.deepEqual(job.progress, { fraction: 0.4, message: 'at 0.4' })
  assert.deepEqual(
    server.callsOf('heartbeat').map(({ jobs }) => jobs.map(({ id }) => id)),
    [[1], [1]],
  )
  done.open()
})

test('Progress that could not be told is told with the next heartbeat, unless there is newer.', async (t) => {
  const done = gate()
  const { server, worker, clock } = setUpWithClock(t, {
    process: (_request, job) => {
      job.progress(2)
      return done.opened
    },
  })
  server.intercept('heartbeat', () => Promise.reject(new Error('down')))
  const job = server.submit('q')
  await worker.start()
  await clock.advance(2_000)
  assert.deepEqual(job.progress, { fraction: 1, message: null })
  done.open()
})

test('Log lines are sent with the heartbeat.', async (t) => {
  const done = gate()
  const { server, worker, clock } = setUpWithClock(t, {
    process: (_request, job) => {
      job.log('info', 'one')
      job.log('info', 'two')
      return done.opened
    },
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(9_000)
  assert.deepEqual(job.events, [])
  await clock.advance(1_000)
  assert.deepEqual(
    job.events.map(({ message }) => message),
    ['one', 'two'],
  )
  assert.equal(server.callsOf('event').length, 1)
  done.open()
})

const AFTER_CANCEL = [
  { what: 'throws', end: (signal: AbortSignal) => signal.throwIfAborted(), outcome: 'cancelled' },
  { what: 'returns false', end: () => false, outcome: 'cancelled' },
  { what: 'completes all the same', end: () => 'done', outcome: 'completed' },
] as const

for (const { what, end, outcome } of AFTER_CANCEL)
  test(`A cancelled job’s signal fires; if its handler then ${what}, it is reported ${outcome}.`, async (t) => {
    const { server, worker, clock } = setUpWithClock(t, {
      process: async (_request, job) => {
        await aborted(job.signal)
        return end(job.signal)
      },
    })
    const job = server.submit('q')
    await worker.start()
    await clock.advance(1)
    server.cancel(job)
    await clock.advance(10_000)
    assert.deepEqual(job.outcomes, [outcome])
  })

test('The signal’s reason is an abort error that says why.', async (t) => {
  let reason: unknown
  const { server, worker, clock } = setUpWithClock(t, {
    process: async (_request, job) => {
      await aborted(job.signal)
      reason = job.signal.reason
    },
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(1)
  server.cancel(job)
  await clock.advance(10_000)
  assert.equal((reason as Error).name, 'AbortError')
  assert.equal((reason as { code: string }).code, 'cancelled')
})

test('A job whose lease is lost has its signal fired and is never reported.', async (t) => {
  let code = ''
  const { server, worker, clock, log } = setUpWithClock(t, {
    concurrency: 1,
    process: async (_request, job) => {
      if (job.attempt > 1) return 'second'
      await aborted(job.signal)
      code = job.signal.reason.code
      return 'first'
    },
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(1)
  job.state = 'pending'
  job.fence++
  await clock.advance(10_000)
  assert.equal(code, 'lease_lost')
  await clock.advance(1)
  assert.equal(job.result, 'second')
  assert.equal(server.callsOf('report').length, 1)
  assert.equal(log.matching(/lease on the job is lost/).length, 1)
})

test('A heartbeat that is overtaken by the report takes nothing for lost.', async (t) => {
  const done = gate()
  const answer = gate()
  const { server, worker, clock, log } = setUpWithClock(t, { process: () => done.opened })
  server.intercept('heartbeat', async (proceed) => {
    await answer.opened
    return proceed()
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(10_000)
  done.open()
  await server.untilState(job, 'completed')
  answer.open()
  await clock.advance(0)
  assert.deepEqual(log.matching(/lost/), [])
})

test('A job that is given out again to the same worker ends the attempt before it.', async (t) => {
  const codes: string[] = []
  const { server, worker, clock } = setUpWithClock(t, {
    concurrency: 2,
    process: async (_request, job) => {
      if (job.attempt > 1) return 'second'
      await aborted(job.signal)
      codes.push(job.signal.reason.code)
      return 'first'
    },
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(1)
  server.expire(job)
  await clock.advance(1)
  assert.deepEqual(codes, ['lease_lost'])
  assert.deepEqual(job.outcomes, ['completed'])
  assert.equal(job.result, 'second')
})

test('The late answer about an earlier attempt does not end the later one.', async (t) => {
  const done = gate()
  const answer = gate()
  const { server, worker, clock } = setUpWithClock(t, { process: (_request, job) => (job.attempt === 1 ? true : done.opened) })
  server.intercept('report', async (proceed) => {
    await answer.opened
    return proceed()
  })
  const job = server.submit('q')
  await worker.start()
  await server.until(() => server.callsOf('report').length === 1)
  server.expire(job)
  await clock.advance(0)
  assert.equal(job.attempt, 2)
  answer.open()
  await clock.advance(10_000)
  assert.deepEqual(server.callsOf('heartbeat').at(-1)?.jobs, [{ id: job.id, leaseToken: String(job.fence) }])
  done.open()
  await clock.advance(0)
  assert.equal(job.state, 'completed')
})

test('When heartbeats fail until a lease has run out, the signal fires; the outcome is reported all the same.', async (t) => {
  let firedAt = 0
  const setup = setUpWithClock(t, {
    leaseSeconds: 30,
    process: async (_request, job) => {
      await aborted(job.signal)
      firedAt = setup.clock.now()
      assert.equal(job.signal.reason.code, 'lease_expired')
      return 'made it'
    },
  })
  const { server, worker, clock } = setup
  for (let call = 0; call < 100; call++) server.intercept('heartbeat', () => Promise.reject(new Error('down')))
  const job = server.submit('q')
  await worker.start()
  await clock.advance(29_999)
  assert.equal(firedAt, 0)
  assert.ok(server.callsOf('heartbeat').length > 3)
  await clock.advance(1)
  assert.equal(firedAt, 30_000)
  assert.deepEqual(job.outcomes, ['completed'])
})

test('A heartbeat that hangs does not hide that a lease ends; one that gave up because of it is given back.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, {
    process: async (_request, job) => {
      await aborted(job.signal)
      throw job.signal.reason
    },
  })
  server.intercept('heartbeat', (_proceed, { params }) => aborted((params as HeartbeatParams).signal))
  const job = server.submit('q')
  server.intercept('claim', (proceed) => proceed())
  server.intercept('claim', (proceed) => proceed())
  await worker.start()
  await clock.advance(30_000)
  assert.deepEqual(job.outcomes.slice(0, 1), ['released'])
})

test('Told to drain, the worker takes no more jobs, finishes what it has and ends.', async (t) => {
  const done = gate()
  const { server, worker, clock } = setUpWithClock(t, { concurrency: 2, process: () => done.opened })
  const job = server.submit('q')
  const running = worker.run()
  await clock.advance(1)
  server.draining = true
  await clock.advance(10_000)
  const late = server.submit('q')
  await clock.advance(10_000)
  assert.equal(late.state, 'pending')
  assert.equal(job.state, 'running')
  done.open()
  await running
  assert.equal(job.state, 'completed')
  assert.equal(worker.id, null)
  assert.equal(clock.timers, 0)
})

test('A claim’s answer may say to drain as well.', async (t) => {
  const { server, worker } = setUpWithClock(t, { process: () => true })
  server.draining = true
  await worker.run()
  assert.equal(server.callsOf('claim').length, 1)
})

test('A heartbeat that failed is sent again at once when another call finds the server back.', async (t) => {
  const done = gate()
  const { server, worker, clock } = setUpWithClock(t, {
    leaseSeconds: 60,
    process: ({ body }) => (body === 'long' ? done.opened : true),
  })
  for (let call = 0; call < 6; call++) server.intercept('heartbeat', () => Promise.reject(new Error('down')))
  server.submit('q', 'long')
  await worker.start()
  // Beats at 20, 20.1, 20.3, 20.7, 21.5 and 23.1 s; by itself it would try again at 26.3 s.
  await clock.advance(23_200)
  assert.equal(server.callsOf('heartbeat').length, 6)
  server.intercept('report', () => Promise.reject(new Error('down')))
  const short = server.submit('q', 'short')
  await clock.advance(100)
  assert.equal(short.state, 'completed')
  assert.equal(server.callsOf('heartbeat').length, 7)
  done.open()
})
