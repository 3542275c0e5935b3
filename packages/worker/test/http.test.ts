import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { HttpTransport } from '../src/http-transport.ts'
import type { WorkerOptions } from '../src/options.ts'
import { TransportError } from '../src/transport.ts'
import { VERSION } from '../src/version.ts'
import { Worker } from '../src/worker.ts'
import { HttpServer, KEY, send } from './support/http-server.ts'
import { MemoryServer } from './support/memory-server.ts'
import { RecordingLogger } from './support/recording-logger.ts'
import { aborted, gate } from './support/setup.ts'

interface Setup {
  readonly http: HttpServer
  readonly server: MemoryServer
  readonly worker: Worker
  readonly log: RecordingLogger
}

async function setUp(
  t: TestContext,
  options: Partial<WorkerOptions> & Pick<WorkerOptions, 'process'>,
  prefix = '',
): Promise<Setup> {
  const server = new MemoryServer()
  const http = new HttpServer(server, prefix)
  const log = new RecordingLogger()
  await http.start()
  const worker = new Worker({
    url: http.url,
    authorizationKey: KEY,
    customValue: 'q',
    concurrency: 2,
    logger: log.logger,
    signals: false,
    ...options,
  })
  t.after(async () => {
    await worker.stop({ timeoutSeconds: 0 })
    await http.stop()
  })
  return { http, server, worker, log }
}

test('A job is claimed, worked on and reported over HTTP.', async (t) => {
  const { http, server, worker } = await setUp(t, {
    process: async (request, job) => {
      await job.event('one')
      job.log('info', 'two')
      job.log('info', 'three')
      await job.event('four')
      return { sum: (request.body as { n: number }).n + 1, name: 'Zoë' }
    },
  })
  const job = server.submit('q', { n: 1 })
  await worker.start()
  await server.untilState(job, 'completed')
  assert.deepEqual(job.result, { sum: 2, name: 'Zoë' })
  assert.deepEqual(
    job.events.map(({ message }) => message),
    ['one', 'two', 'three', 'four', 'Request processed successfully'],
  )
  const [first] = http.requests
  assert.equal(first?.method, 'POST')
  assert.equal(first?.url, '/api/v1/queues/q/claim')
  assert.equal(first?.headers.authorization, `Bearer ${KEY}`)
  assert.equal(first?.headers['user-agent'], `octoflow-worker/${VERSION}`)
})

test('Every outcome has its form on the wire.', async (t) => {
  const { server, worker } = await setUp(t, {
    process: (request) => {
      if (request.body === 'null') return null
      if (request.body === 'nothing') return undefined
      throw Object.assign(new Error('no'), { code: 'E' })
    },
  })
  const jobs = ['null', 'nothing', 'throws'].map((body) => server.submit('q', body))
  await worker.start()
  await server.until(() => jobs.every(({ outcomes }) => outcomes.length > 0))
  const reports = server.callsOf('report').flatMap(({ jobs }) => jobs)
  assert.deepEqual(
    jobs.map(({ id }) => 'resultJson' in reports.find((report) => report.id === id)!),
    [true, false, false],
  )
  assert.equal((jobs[2]!.error as { code: string }).code, 'E')
})

test('Heartbeats tell progress and bring the order to cancel.', async (t) => {
  const { http, server, worker } = await setUp(t, {
    leaseSeconds: 1,
    process: async (_request, job) => {
      job.progress(0.5, 'half')
      await aborted(job.signal)
      throw job.signal.reason
    },
  })
  const job = server.submit('q')
  await worker.start()
  await server.until(() => job.progress !== null)
  assert.deepEqual(job.progress, { fraction: 0.5, message: 'half' })
  server.cancel(job)
  await server.untilOutcomes(job, 1)
  assert.deepEqual(job.outcomes, ['cancelled'])
  assert.ok(http.requests.some(({ url }) => url === '/api/v1/jobs/heartbeat'))
})

test('Queue names and base paths are put into the address as they must be.', async (t) => {
  const { http, server, worker } = await setUp(t, { customValue: 'a/b c?ü', process: () => true }, '/octoflow')
  const job = server.submit('a/b c?ü')
  await worker.start()
  await server.untilState(job, 'completed')
  assert.equal(http.requests[0]?.url, '/octoflow/api/v1/queues/a%2Fb%20c%3F%C3%BC/claim')
})

test('Connections are kept: a hundred jobs one after the other need no more than a few.', async (t) => {
  const { http, server, worker } = await setUp(t, { concurrency: 1, process: () => true })
  const jobs = Array.from({ length: 100 }, (_, n) => server.submit('q', n))
  await worker.start()
  await server.until(() => jobs.every(({ state }) => state === 'completed'))
  assert.ok(http.connections <= 4, `${http.connections} connections`)
})

test('A restart of the server in the middle of the work loses no result, and nothing is run twice.', async (t) => {
  let runs = 0
  const down = gate()
  const { http, server, worker, log } = await setUp(t, {
    process: async (_request, job) => {
      runs++
      const said = job.event('before')
      await down.opened
      await said
      return { id: job.id }
    },
  })
  const jobs = [server.submit('q'), server.submit('q')]
  await worker.start()
  await server.until(() => jobs.every(({ events }) => events.length === 1))
  await http.stop()
  down.open()
  await log.untilLogged(/cannot serve this worker/)
  await http.start()
  await server.until(() => jobs.every(({ state }) => state === 'completed'))
  const later = server.submit('q')
  await server.untilState(later, 'completed')
  assert.deepEqual(
    jobs.map(({ result }) => result),
    [{ id: 1 }, { id: 2 }],
  )
  assert.equal(runs, 3)
  assert.equal(log.matching(/cannot serve this worker/).length, 1)
  await log.untilLogged(/serves this worker again/)
})

test('A report whose answer is lost is repeated, and counts once.', async (t) => {
  const { http, server, worker, log } = await setUp(t, { concurrency: 1, process: () => 'once' })
  const job = server.submit('q')
  http.meddle((_request, _response, proceed) => proceed())
  // The second request is the report: there is one slot, and the next claim comes after it.
  http.meddle(async (request, response, proceed) => {
    assert.equal(request.url, '/api/v1/jobs/report')
    response.end = (() => request.socket.destroy()) as never
    await proceed()
  })
  await worker.start()
  await server.until(() => server.callsOf('report').length === 2)
  await worker.stop()
  assert.deepEqual(job.outcomes, ['completed'])
  assert.deepEqual(log.matching(/dropped/), [])
})

test('A wrong key ends the worker with what the server says and how to mend it.', async (t) => {
  const { worker } = await setUp(t, { authorizationKey: 'wrong', process: () => true })
  await assert.rejects(worker.run(), (error: TransportError) => {
    assert.equal(error.kind, 'refused')
    assert.equal(error.code, 'unauthorized')
    assert.match(
      error.message,
      /^http:\/\/127\.0\.0\.1:\d+ answered 401 \(unauthorized\)\. No valid credential was sent\. Send a key\.$/,
    )
    return true
  })
})

test('A wrong path ends the worker and says so.', async (t) => {
  const { http } = await setUp(t, { process: () => true })
  const worker = new Worker({
    url: `${http.url}/elsewhere`,
    authorizationKey: KEY,
    queue: 'q',
    process: () => true,
    logger: new RecordingLogger().logger,
    signals: false,
  })
  await assert.rejects(worker.run(), /answered 404 \(not_found\)\. Nothing is served at \/elsewhere\/api/)
})

const ANSWERS = [
  { status: 503, body: { code: 'overloaded', detail: 'The server is overloaded.' }, kind: 'unavailable', code: 'overloaded' },
  { status: 500, body: {}, kind: 'unavailable', code: 'http_500' },
  { status: 429, body: {}, kind: 'unavailable', code: 'http_429', headers: { 'retry-after': '3' }, retryAfterMs: 3_000 },
  { status: 403, body: { code: 'queue_out_of_scope' }, kind: 'refused', code: 'queue_out_of_scope' },
  { status: 413, body: {}, kind: 'rejected', code: 'http_413' },
  { status: 404, body: { code: 'job_not_found' }, kind: 'rejected', code: 'job_not_found' },
  { status: 404, body: {}, kind: 'misdirected', code: 'http_404' },
  { status: 302, body: {}, kind: 'misdirected', code: 'http_302' },
  { status: 404, body: { code: 'not_found' }, kind: 'misdirected', code: 'not_found' },
  { status: 200, body: { hello: 'world' }, kind: 'misdirected', code: 'bad_answer' },
] as const

for (const { status, body, kind, code, ...more } of ANSWERS)
  test(`An answer ${status} ${JSON.stringify(body)} counts as ${kind}.`, async (t) => {
    const { http, transport } = await transportTo(t)
    http.meddle((_request, response) => send(response, status, body, 'headers' in more ? more.headers : {}))
    const error = await claimWith(transport).then(
      () => assert.fail('the call succeeded'),
      (thrown: unknown) => thrown as TransportError,
    )
    assert.ok(error instanceof TransportError)
    assert.equal(error.kind, kind)
    assert.equal(error.code, code)
    assert.equal(error.retryAfterMs, 'retryAfterMs' in more ? more.retryAfterMs : null)
  })

test('A page instead of JSON, and a server that is not there, are told apart.', async (t) => {
  const { http, transport } = await transportTo(t)
  http.meddle((_request, response) => response.end('<html>Welcome</html>'))
  await assert.rejects(claimWith(transport), /does not answer as an Octoflow server/)
  await http.stop()
  await assert.rejects(claimWith(transport), /http:\/\/127\.0\.0\.1:\d+ cannot be reached: connect ECONNREFUSED/)
})

test('A date as Retry-After is understood.', async (t) => {
  const { http, transport } = await transportTo(t)
  const at = new Date(Date.now() + 60_000).toUTCString()
  http.meddle((_request, response) => send(response, 503, {}, { 'retry-after': at }))
  await assert.rejects(
    claimWith(transport),
    ({ retryAfterMs }: TransportError) => retryAfterMs! > 50_000 && retryAfterMs! <= 60_000,
  )
})

test('Hanging up ends a claim that waits, but one whose answer has begun is read to its end.', async (t) => {
  const { http, server, transport } = await transportTo(t)
  const early = new AbortController()
  const waiting = claimWith(transport, early.signal)
  await server.until(() => server.pollsWaiting === 1)
  early.abort()
  await assert.rejects(waiting, TransportError)

  const late = new AbortController()
  const begun = gate()
  http.meddle(async (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"jobs":[')
    await begun.opened
    response.end('],"drain":true}')
  })
  const arrived = headersArrive()
  const answering = claimWith(transport, late.signal)
  await arrived
  late.abort()
  begun.open()
  assert.deepEqual(await answering, { jobs: [], drain: true })
})

test('A closed transport makes no more calls.', async (t) => {
  const { transport } = await transportTo(t)
  await transport.close()
  await assert.rejects(claimWith(transport), /The connection to the server is closed/)
})

async function transportTo(t: TestContext): Promise<{ http: HttpServer; server: MemoryServer; transport: HttpTransport }> {
  const server = new MemoryServer()
  const http = new HttpServer(server)
  await http.start()
  const transport = new HttpTransport({ url: new URL(http.url), authorizationKey: KEY })
  t.after(async () => {
    await transport.close()
    await http.stop()
  })
  return { http, server, transport }
}

const claimWith = (transport: HttpTransport, signal = new AbortController().signal): Promise<unknown> =>
  transport.claim({ workerId: 'w', queue: 'q', limit: 1, waitSeconds: 20, leaseSeconds: 30, signal })

/** Resolves when the client has seen the head of an answer. */
async function headersArrive(): Promise<void> {
  const seen = gate()
  subscribe('undici:request:headers', seen.open)
  await seen.opened
  unsubscribe('undici:request:headers', seen.open)
  await turn()
}
