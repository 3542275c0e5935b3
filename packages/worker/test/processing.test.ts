import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapturedRequest, Job } from '../src/job-context.ts'
import { cancel, discard, snooze } from '../src/outcome.ts'
import { gate, setUp } from './support/setup.ts'

const FAILURE = { message: 'Failed to process request', level: 'error' }

test('A handler gets the request with its parsed body, and the job.', async (t) => {
  let seen: readonly [CapturedRequest, Job] | null = null
  const { server, worker } = setUp(t, {
    process: (request, job) => {
      seen = [request, job]
    },
  })
  const stored = server.submit('q', { to: 'ada' }, { labels: { customer: '42' }, concurrencyKey: 'k', priority: 2 })
  await worker.start()
  await server.untilState(stored, 'completed')
  const [request, job] = seen!
  assert.deepEqual(request, {
    id: 1,
    timestamp: '2026-11-21T10:15:30.123Z',
    sourceIp: '203.0.113.7',
    userAgent: 'test',
    method: 'POST',
    url: '/request?custom_value=q',
    contentType: 'application/json',
    headers: { 'content-type': 'application/json' },
    customValue: 'q',
    body: { to: 'ada' },
  })
  const { id, queue, attempt, maxAttempts, priority, labels, concurrencyKey, createdAt } = job
  assert.deepEqual(
    { id, queue, attempt, maxAttempts, priority, labels, concurrencyKey, createdAt },
    {
      id: 1,
      queue: 'q',
      attempt: 1,
      maxAttempts: 3,
      priority: 2,
      labels: { customer: '42' },
      concurrencyKey: 'k',
      createdAt: '2026-11-21T10:15:30.123Z',
    },
  )
})

const RETURNED = [
  { what: 'true', value: true, outcome: 'completed', result: null },
  { what: 'nothing', value: undefined, outcome: 'completed', result: null },
  {
    what: 'an object',
    value: { total: 3, when: new Date(0) },
    outcome: 'completed',
    result: { total: 3, when: '1970-01-01T00:00:00.000Z' },
  },
  { what: 'a text', value: 'done', outcome: 'completed', result: 'done' },
  { what: 'zero', value: 0, outcome: 'completed', result: 0 },
  { what: 'a discard', value: discard('no such customer'), outcome: 'discarded', result: null },
  { what: 'a cancel', value: cancel('nothing to do'), outcome: 'cancelled', result: null },
  { what: 'a snooze', value: snooze(90), outcome: 'snoozed', result: null },
  { what: 'false', value: false, outcome: 'failed', result: null },
] as const

for (const { what, value, outcome, result } of RETURNED)
  test(`A handler that returns ${what} ends its job as ${outcome}.`, async (t) => {
    const { server, worker } = setUp(t, { process: async () => value })
    const job = server.submit('q')
    await worker.start()
    await server.untilOutcomes(job, 1)
    assert.deepEqual(job.outcomes, [outcome])
    assert.deepEqual(job.result, result)
  })

test('A chosen outcome carries its reason or delay.', async (t) => {
  const { server, worker } = setUp(t, {
    process: (request) => (request.body === 'later' ? snooze(90) : discard('no such customer')),
  })
  const later = server.submit('q', 'later')
  const never = server.submit('q', 'never')
  await worker.start()
  await server.untilOutcomes(later, 1)
  await server.untilOutcomes(never, 1)
  const reports = server.callsOf('report').flatMap(({ jobs }) => jobs)
  assert.equal(reports.find(({ id }) => id === later.id)?.delaySeconds, 90)
  assert.equal(reports.find(({ id }) => id === never.id)?.reason, 'no such customer')
})

test('The helpers refuse what would not be understood.', () => {
  assert.throws(() => snooze(-1), /snooze\(\) takes 0 to 315360000 seconds, not -1/)
  assert.throws(() => snooze(Number.NaN), RangeError)
  assert.throws(() => discard(''), /discard\(\) takes a reason/)
})

test('A handler that throws fails its job with message, code and the stacks of error and cause.', async (t) => {
  const { server, worker } = setUp(t, {
    process: () => {
      const cause = new Error('connection refused')
      throw Object.assign(new Error('no mail server', { cause }), { code: 'SMTP_DOWN' })
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilState(job, 'dead')
  const error = job.error as { message: string; code: string; detail: string }
  assert.equal(error.message, 'no mail server')
  assert.equal(error.code, 'SMTP_DOWN')
  assert.match(
    error.detail,
    /Error: no mail server\n\s+at .*processing\.test\.ts[\s\S]*Caused by: Error: connection refused\n\s+at /,
  )
})

test('What is thrown need not be an error.', async (t) => {
  const { server, worker } = setUp(t, {
    process: (request) => {
      throw request.body
    },
  })
  const text = server.submit('q', 'out of paper')
  const object = server.submit('q', { reason: 'jam' })
  await worker.start()
  await server.untilState(text, 'dead')
  await server.untilState(object, 'dead')
  assert.deepEqual(text.error, { message: 'out of paper', code: null, detail: null })
  assert.deepEqual(object.error, { message: "{ reason: 'jam' }", code: null, detail: null })
})

test('A result that is not JSON fails the job and says why.', async (t) => {
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  const results: Record<string, unknown> = { bigint: { n: 1n }, cycle, function: () => 1 }
  const { server, worker } = setUp(t, { process: (request) => results[request.body as string] })
  const jobs = Object.keys(results).map((name) => server.submit('q', name))
  await worker.start()
  for (const job of jobs) await server.untilState(job, 'dead')
  const errors = jobs.map(({ error }) => error as { message: string; code: string })
  assert.deepEqual(new Set(errors.map(({ code }) => code)), new Set(['result_not_json']))
  assert.deepEqual(
    errors.map(({ message }) => message.replace('The handler returned a result that is not JSON: ', '')),
    ['Do not know how to serialize a BigInt.', 'Converting circular structure to JSON.', 'JSON has no form for a function.'],
  )
})

test('A result is taken as it was when the handler returned it.', async (t) => {
  const result = { steps: [1] }
  const reporting = gate()
  const returned = gate()
  const { server, worker } = setUp(t, {
    concurrency: 2,
    process: (request) => {
      if (request.body === 'first') return true
      // After the worker has seen what is returned.
      setImmediate(returned.open)
      return result
    },
  })
  const first = server.submit('q', 'first')
  await worker.start()
  server.intercept('report', async (proceed) => {
    await reporting.opened
    return proceed()
  })
  await server.until(() => server.callsOf('report').length === 1)
  const second = server.submit('q', 'second')
  await returned.opened
  result.steps.push(2)
  reporting.open()
  await server.untilState(second, 'completed')
  assert.equal(first.state, 'completed')
  assert.deepEqual(second.result, { steps: [1] })
})

test('The job’s logger is the worker’s, with the job’s id.', async (t) => {
  const { server, worker, log } = setUp(t, { process: (_request, job) => job.logger.info('working', { step: 2 }) })
  const job = server.submit('q')
  await worker.start()
  await server.untilState(job, 'completed')
  assert.deepEqual(log.matching(/^working$/)[0]?.fields, { jobId: 1, queue: 'q', attempt: 1, step: 2 })
})

test('A handler may take the job’s functions apart.', async (t) => {
  const { server, worker } = setUp(t, {
    process: async (_request, { event, log, progress, signal }) => {
      await event('hello')
      log('info', 'line')
      progress(0.5)
      return signal.aborted
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilOutcomes(job, 1)
  assert.deepEqual(
    job.events.map(({ message }) => message),
    ['hello', 'line', FAILURE.message],
  )
})

test('From claim to handler and from outcome to report there is no turn of the event loop and no timer.', async (t) => {
  const order: string[] = []
  const { server, worker } = setUp(t, {
    process: () => {
      order.push('handler')
    },
  })
  server.intercept('claim', async (proceed) => {
    const answer = await proceed()
    setImmediate(() => order.push('next turn'))
    return answer
  })
  server.intercept('report', (proceed) => {
    order.push('report')
    return proceed()
  })
  await worker.start()
  await server.until(() => server.pollsWaiting === 1)
  const job = server.submit('q')
  await server.untilState(job, 'completed')
  await server.until(() => server.pollsWaiting === 1)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(order, ['handler', 'report', 'next turn'])
})
