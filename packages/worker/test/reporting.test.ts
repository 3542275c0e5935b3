import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ReportParams, TransportError } from '../src/transport.ts'
import type { Call, MemoryServer } from './support/memory-server.ts'
import { gate, setUp, setUpWithClock } from './support/setup.ts'

const sizes = (server: MemoryServer): number[] => server.callsOf('report').map(({ jobs }) => jobs.length)

test('Handlers that end together share one report.', async (t) => {
  const { server, worker } = setUp(t, { concurrency: 50, process: async () => true })
  const jobs = Array.from({ length: 50 }, (_, n) => server.submit('q', n))
  await worker.start()
  await server.until(() => jobs.every(({ state }) => state === 'completed'))
  assert.deepEqual(sizes(server), [50])
})

test('Outcomes that become ready while a report is under way go in the next one.', async (t) => {
  const answer = gate()
  const { server, worker } = setUp(t, { concurrency: 3, process: () => true })
  server.intercept('report', async (proceed) => {
    await answer.opened
    return proceed()
  })
  const first = server.submit('q')
  await worker.start()
  await server.until(() => server.callsOf('report').length === 1)
  const rest = Array.from({ length: 9 }, (_, n) => server.submit('q', n))
  await server.until(() => rest.every(({ state }) => state === 'running'))
  answer.open()
  await server.until(() => rest.every(({ state }) => state === 'completed'))
  assert.equal(first.state, 'completed')
  assert.deepEqual(sizes(server), [1, 9])
})

test('A claim asks for at most 1000 jobs, and a report holds no more.', async (t) => {
  const { server, worker } = setUp(t, { concurrency: 2_500, process: () => true })
  const jobs = Array.from({ length: 2_500 }, (_, n) => server.submit('q', n))
  await worker.start()
  await server.until(() => jobs.every(({ state }) => state === 'completed'))
  assert.equal(Math.max(...server.callsOf('claim').map(({ limit }) => limit)), 1_000)
  assert.equal(Math.max(...sizes(server)), 1_000)
})

test('A report holds no more text than a server takes.', async (t) => {
  const { server, worker } = setUp(t, { concurrency: 20, process: () => 'x'.repeat(50_000) })
  const jobs = Array.from({ length: 20 }, (_, n) => server.submit('q', n))
  await worker.start()
  await server.until(() => jobs.every(({ state }) => state === 'completed'))
  assert.deepEqual(sizes(server), [5, 5, 5, 5])
})

test('A report is repeated until the server answers, and a lost answer does no harm.', async (t) => {
  const { server, worker, log } = setUp(t, { process: () => true })
  server.intercept('report', () => Promise.reject(new Error('connection refused')))
  server.intercept('report', async (proceed) => {
    await proceed()
    throw new Error('connection reset')
  })
  const job = server.submit('q')
  await worker.start()
  await server.untilOutcomes(job, 1)
  await server.until(() => server.callsOf('report').length === 3)
  await worker.stop()
  assert.deepEqual(job.outcomes, ['completed'])
  assert.deepEqual(log.matching(/dropped/), [])
})

test('A result outlives a long outage.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { process: () => ({ total: 3 }) })
  const job = server.submit('q')
  for (let call = 0; call < 20; call++) server.intercept('report', () => Promise.reject(new Error('down')))
  await worker.start()
  await clock.advance(300_000)
  assert.equal(job.state, 'completed')
  assert.deepEqual(job.result, { total: 3 })
})

test('A report whose lease is lost is dropped with a warning.', async (t) => {
  const { server, worker, log } = setUp(t, { process: () => true })
  const job = server.submit('q')
  server.intercept('report', (proceed) => {
    job.fence++
    return proceed()
  })
  await worker.start()
  await log.untilLogged(/outcome of a job is dropped/)
  assert.deepEqual(log.matching(/is dropped/)[0]?.fields, {
    jobId: 1,
    outcome: 'completed',
    code: 'lease_lost',
    reason: 'The lease on job 1 is no longer held.',
  })
  await worker.stop()
  assert.equal(server.callsOf('report').length, 1)
})

test('A job that was deleted meanwhile is dropped, and the others in the report are not.', async (t) => {
  const { server, worker, log } = setUp(t, { concurrency: 2, process: () => true })
  const [gone, kept] = [server.submit('q'), server.submit('q')]
  server.intercept('report', (proceed) => {
    server.jobs.delete(gone.id)
    return proceed()
  })
  await worker.start()
  await server.untilState(kept, 'completed')
  await log.untilLogged(/is dropped/)
  assert.equal(log.matching(/is dropped/)[0]?.fields.code, 'job_not_found')
})

test('Only the jobs that the server could not take for now are reported again.', async (t) => {
  const { server, worker, clock } = setUpWithClock(t, { concurrency: 2, process: () => true })
  const [first, second] = [server.submit('q'), server.submit('q')]
  server.intercept('report', async (_proceed, { params }) => {
    const [taken, refused] = (params as ReportParams).jobs
    const answer = await server.report({ ...(params as ReportParams), jobs: [taken!] })
    return { jobs: [...answer.jobs, { id: refused!.id, ok: false, code: 'storage_unavailable', message: 'no' }] }
  })
  await worker.start()
  await clock.advance(1_000)
  assert.equal(first.state, 'completed')
  assert.equal(second.state, 'completed')
  assert.deepEqual(
    server
      .callsOf('report')
      .at(-1)
      ?.jobs.map(({ id }) => id),
    [second.id],
  )
})

test('A job with two outcomes to report is never twice in one call.', async (t) => {
  const { server, worker, clock, log } = setUpWithClock(t, { concurrency: 2, process: (_request, job) => job.attempt })
  for (let call = 0; call < 2; call++) server.intercept('report', () => Promise.reject(new Error('down')))
  // Claimed before the first report has failed.
  server.intercept('claim', (proceed) => proceed())
  server.intercept('claim', async (proceed) => {
    server.expire(job)
    return proceed()
  })
  const job = server.submit('q')
  await worker.start()
  await clock.advance(1_000)
  for (const { jobs } of server.callsOf('report')) assert.equal(new Set(jobs.map(({ id }) => id)).size, jobs.length)
  assert.equal(job.result, 2)
  assert.equal(log.matching(/is dropped/)[0]?.fields.code, 'lease_lost')
})

test('When the server does not take a report, the one at fault is found and the rest gets through.', async (t) => {
  const { server, worker, log } = setUp(t, {
    concurrency: 8,
    process: (request, job) => {
      if (request.body === 5) for (const part of ['a', 'b']) job.log('info', part)
      return request.body === 5 ? { image: 'x'.repeat(2_000) } : true
    },
  })
  const strict = async (proceed: () => Promise<unknown>, { params }: Call): Promise<unknown> => {
    const { jobs } = params as ReportParams
    if (jobs.some(({ resultJson }) => (resultJson?.length ?? 0) > 1_000))
      throw new TransportError('rejected', 'body_too_large', 'The body is larger than 1000 bytes.')
    return proceed()
  }
  for (let call = 0; call < 20; call++) server.intercept('report', strict)
  const jobs = Array.from({ length: 8 }, (_, n) => server.submit('q', n))
  await worker.start()
  await server.until(() => jobs.every(({ outcomes }) => outcomes.length === 1))
  assert.deepEqual(
    jobs.map(({ state }) => state),
    jobs.map(({ payload }) => (payload === 5 ? 'dead' : 'completed')),
  )
  assert.deepEqual(jobs[5]!.error, {
    code: 'result_not_taken',
    message: 'The server does not take the result: The body is larger than 1000 bytes.',
    detail: null,
  })
  assert.deepEqual(jobs[5]!.events.at(-1), { message: 'Failed to process request', level: 'error' })
  assert.ok(log.matching(/told less/).length > 0)
})

test('A report that the server never takes in any form is dropped, not repeated for ever.', async (t) => {
  const { server, worker, log } = setUp(t, { process: () => 'result' })
  for (let call = 0; call < 20; call++)
    server.intercept('report', () => Promise.reject(new TransportError('rejected', 'invalid_body', 'It does not fit.')))
  server.submit('q')
  await worker.start()
  await log.untilLogged(/is dropped/)
  await worker.stop()
  assert.equal(server.callsOf('report').length, 2)
})

test('A report that is refused for its credential ends the worker.', async (t) => {
  const { server, worker, log } = setUp(t, { process: () => true, signals: false })
  const refusal = new TransportError('refused', 'forbidden', 'http://x answered 403 (forbidden).')
  server.intercept('report', () => Promise.reject(refusal))
  server.submit('q')
  await assert.rejects(worker.run(), refusal)
  assert.equal(log.matching(/is dropped/)[0]?.fields.code, 'forbidden')
})
