import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aborted, gate, setUpWithClock } from './support/setup.ts'

const withTimeout = { timeoutSeconds: 5 }

test('When a job’s time is up its signal fires, and it fails with the code timeout once its handler gives up.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, {
    process: async (_request, job) => {
      await aborted(job.signal)
      throw job.signal.reason
    },
  })
  const job = server.submit('q', {}, withTimeout)
  await worker.start()
  await clock.advance(4_999)
  assert.equal(job.state, 'running')
  await clock.advance(1)
  const error = job.error as { message: string; code: string; detail: string }
  assert.equal(error.message, 'The job ran for longer than its timeout of 5 s.')
  assert.equal(error.code, 'timeout')
  assert.match(error.detail, /AbortError: The job ran for longer than its timeout/)
})

test('A handler that completes within a second of its timeout has completed.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, {
    process: async (_request, job) => {
      await aborted(job.signal)
      return 'partial'
    },
  })
  const job = server.submit('q', {}, withTimeout)
  await worker.start()
  await clock.advance(5_000)
  assert.deepEqual(job.outcomes, ['completed'])
  assert.equal(job.result, 'partial')
})

test('A handler that ignores its timeout is reported failed a second later, and keeps its slot until it ends.', async (t) => {
  const end = gate()
  const { server, worker, clock, log } = setUpWithClock(t, {
    concurrency: 1,
    process: (request) => (request.body === 'stubborn' ? end.opened : true),
  })
  const job = server.submit('q', 'stubborn', withTimeout)
  await worker.start()
  await clock.advance(5_999)
  assert.equal(job.state, 'running')
  await clock.advance(1)
  assert.deepEqual(job.outcomes, ['failed'])
  assert.deepEqual(job.error, { message: 'The job ran for longer than its timeout of 5 s.', code: 'timeout', detail: null })
  assert.equal(log.matching(/handler goes on although its signal has fired/).length, 1)
  const next = server.submit('q', 'obedient')
  await clock.advance(60_000)
  assert.equal(next.state, 'pending')
  end.open()
  await clock.advance(1)
  assert.equal(next.state, 'completed')
  assert.deepEqual(job.outcomes, ['failed'])
})

test('A job that ends in time leaves no timer behind, and one without a timeout sets none.', async (t) => {
  const done = gate()
  const { server, worker, clock } = setUpWithClock(t, { process: () => done.opened })
  await worker.start()
  await clock.advance(1)
  const idle = clock.timers
  const without = server.submit('q')
  await clock.advance(0)
  assert.equal(without.state, 'running')
  assert.equal(clock.timers, idle)
  const within = server.submit('q', {}, withTimeout)
  await clock.advance(0)
  assert.equal(clock.timers, idle + 1)
  done.open()
  await server.untilState(within, 'completed')
  assert.equal(clock.timers, idle)
})
