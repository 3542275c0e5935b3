import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from '../src/job-context.ts'
import { snooze } from '../src/outcome.ts'
import { type EventParams, TransportError } from '../src/transport.ts'
import type { Call } from './support/memory-server.ts'
import { gate, setUp, setUpWithClock } from './support/setup.ts'

const SUCCESS = { message: 'Request processed successfully' }
const FAILURE = { message: 'Failed to process request', level: 'error' }

test('Events are sent at once and in order, and the closing event comes last.', async (t) => {
  const waiting = gate()
  const { server, worker } = setUp(t, {
    process: async (_request, job) => {
      await job.event('begun', { step: 1 })
      void job.event('half way')
      await job.event('nearly there')
      await waiting.opened
      void job.event('last words')
      return true
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.until(() => job.events.length === 3)
  assert.equal(job.state, 'running')
  waiting.open()
  await server.untilState(job, 'completed')
  assert.deepEqual(job.events, [
    { message: 'begun', data: { step: 1 } },
    { message: 'half way' },
    { message: 'nearly there' },
    { message: 'last words' },
    SUCCESS,
  ])
})

test('A failed job ends with the event that it failed; a snoozed one has no closing event.', async (t) => {
  const { server, worker } = setUp(t, { process: (request) => (request.body === 'bad' ? false : snooze(1)) })
  const bad = server.submit('q', 'bad')
  const later = server.submit('q', 'later')
  await worker.start()
  await server.untilOutcomes(bad, 1)
  await server.untilOutcomes(later, 1)
  assert.deepEqual(bad.events, [FAILURE])
  assert.deepEqual(later.events, [])
})

test('Log lines wait for the next event or the report, and keep their place among the events.', async (t) => {
  const { server, worker } = setUp(t, {
    process: async (_request, job) => {
      job.log('info', 'one')
      job.log('warn', 'two', { rows: 3 })
      await job.event('three')
      job.log('debug', 'four')
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilState(job, 'completed')
  assert.deepEqual(
    job.events.map(({ at, ...event }) => event),
    [
      { message: 'one', kind: 'log', level: 'info' },
      { message: 'two', kind: 'log', level: 'warn', data: { rows: 3 } },
      { message: 'three' },
      { message: 'four', kind: 'log', level: 'debug' },
      SUCCESS,
    ],
  )
  assert.equal(server.callsOf('event').length, 1)
})

test('Many log lines do not wait for a heartbeat, and none is lost.', async (t) => {
  const { server, worker } = setUp(t, {
    process: (_request, job) => {
      for (let line = 1; line <= 2_500; line++) job.log('info', `line ${line}`)
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilState(job, 'completed')
  const messages = job.events.map(({ message }) => message)
  assert.deepEqual(messages, [...Array.from({ length: 2_500 }, (_, index) => `line ${index + 1}`), SUCCESS.message])
  assert.ok(server.callsOf('report')[0]!.jobs[0]!.events!.length <= 1_000)
})

test('Data given to an event is copied, and what is not JSON is refused where it is given.', async (t) => {
  const { server, worker } = setUp(t, {
    process: async (_request, job) => {
      const data = { n: 1 }
      const sent = job.event('counted', data)
      data.n = 2
      await sent
      assert.throws(() => void job.event('counted', { n: 1n }), /The data given to job\.event\(\) is not JSON/)
      assert.throws(() => job.log('info', 'x', () => 1), /job\.log\(\) is not JSON: JSON has no form for a function/)
      assert.throws(() => void job.event(7 as unknown as string), /job\.event\(\) takes a message, not number/)
      assert.throws(() => job.log('loud' as 'info', 'x'), /one of the levels debug, info, warn, error, not loud/)
      assert.throws(() => job.progress(Number.NaN), /job\.progress\(\) takes a fraction/)
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilOutcomes(job, 1)
  assert.deepEqual(job.outcomes, ['completed'], JSON.stringify(job.error))
  assert.deepEqual(job.events[0], { message: 'counted', data: { n: 1 } })
})

test('An event that the server does not take is dropped alone and fails nothing.', async (t) => {
  const held = gate()
  const { server, worker, log } = setUp(t, {
    process: async (_request, job) => {
      void job.event('first')
      for (const size of ['small', 'huge', 'small']) void job.event(size)
      await job.event('last')
    },
  })
  const strict = async (proceed: () => Promise<unknown>, { params }: Call): Promise<unknown> => {
    await held.opened
    if ((params as EventParams).events.some(({ message }) => message === 'huge'))
      throw new TransportError('rejected', 'body_too_large', 'The body is larger than 1048576 bytes.')
    return proceed()
  }
  for (let call = 0; call < 10; call++) server.intercept('event', strict)
  const job = server.submit('q')
  await worker.start()
  held.open()
  await server.untilState(job, 'completed')
  const messages = job.events.map(({ message }) => message)
  assert.deepEqual(messages, ['first', 'small', 'small', 'last', SUCCESS.message])
  assert.deepEqual(
    log.matching(/does not take these events/).map(({ fields }) => fields.events),
    [1],
  )
})

test('Events that cannot be sent while the server is away go with the report, which does not wait for them.', async (t) => {
  const waiting = gate()
  const { server, worker, clock } = setUpWithClock(t, {
    process: async (_request, job) => {
      void job.event('one')
      await waiting.opened
      void job.event('two')
    },
  })
  server.intercept('event', () => Promise.reject(new Error('connection reset')))
  const job = server.submit('q')
  await worker.start()
  await clock.advance(10)
  assert.equal(server.callsOf('event').length, 1)
  waiting.open()
  await clock.advance(0)
  assert.equal(job.state, 'completed')
  assert.deepEqual(job.events, [{ message: 'one' }, { message: 'two' }, SUCCESS])
})

test('While the server is away log lines are kept within bounds, and what is missing is told.', async (t) => {
  const { server, worker } = setUp(t, {
    process: (_request, job) => {
      for (let line = 1; line <= 12_000; line++) job.log('info', `line ${line}`)
    },
  })
  for (let call = 0; call < 3; call++) server.intercept('event', () => Promise.reject(new Error('connection reset')))
  const job = server.submit('q')
  await worker.start()
  await server.untilState(job, 'completed')
  const messages = job.events.map(({ message }) => message)
  assert.equal(messages.length, 1_000)
  assert.match(messages[0]!, /^11002 lines are missing here/)
  assert.equal(messages.at(-2), 'line 10000')
  assert.equal(messages.at(-1), SUCCESS.message)
})

test('What a handler says after it has ended is dropped with a warning, and its promise still resolves.', async (t) => {
  let late: Job | null = null
  const { server, worker, log } = setUp(t, {
    process: (_request, job) => {
      late = job
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilState(job, 'completed')
  await late!.event('too late')
  late!.log('info', 'too late')
  late!.progress(1)
  assert.deepEqual(job.events, [SUCCESS])
  assert.equal(log.matching(/in hand no longer when its handler made this event/).length, 1)
})
