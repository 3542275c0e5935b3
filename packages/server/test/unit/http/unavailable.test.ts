import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { compose } from '../../../src/compose.ts'
import { compile } from '../../../src/config/compile.ts'
import { settle } from '../../../src/config/settle.ts'
import { buildApp } from '../../../src/http/server.ts'

const layer = (
  [
    ['database.url', 'sqlite::memory:'],
    ['security.authorizationKey', 'a-static-key'],
  ] as const
).map(([key, raw]) => ({ key, name: key, source: 'the test', raw }))

const OPTIONS = { bodyLimit: 1_000, trustProxy: false, corsOrigins: [], tls: null, publicApis: [], oauth: null } as const

/** A call of each kind: the key is looked up, read, written, with an idempotency key, waited for. */
const CALLS = [
  { method: 'GET', url: '/api/v1/jobs' },
  { method: 'GET', url: '/api/v1/jobs/1' },
  { method: 'GET', url: '/api/v1/queues' },
  { method: 'GET', url: '/api/v1/me', headers: { authorization: 'Bearer octo_some_key' } },
  { method: 'POST', url: '/api/v1/jobs', payload: { queue: 'q' } },
  { method: 'POST', url: '/api/v1/jobs', payload: { jobs: [{ queue: 'q' }] }, headers: { 'idempotency-key': 'k' } },
  { method: 'POST', url: '/api/v1/jobs/1/cancel', headers: { 'idempotency-key': 'k' } },
  { method: 'POST', url: '/api/v1/queues/q/claim', payload: { workerId: 'w', waitSeconds: 30 } },
  { method: 'POST', url: '/api/v1/queues/q/claim', payload: { workerId: 'w' }, headers: { 'idempotency-key': 'k' } },
  { method: 'POST', url: '/api/v1/jobs/heartbeat', payload: { workerId: 'w', jobs: [{ id: 1, leaseToken: '1' }] } },
  {
    method: 'POST',
    url: '/api/v1/jobs/report',
    payload: { workerId: 'w', jobs: [{ id: 1, leaseToken: '1', outcome: 'completed' }] },
  },
  { method: 'POST', url: '/request?custom_value=q', payload: {} },
  { method: 'GET', url: '/request/1' },
  { method: 'GET', url: '/request/1', headers: { authorization: 'Bearer octo_some_key' } },
  { method: 'GET', url: '/jobs/next-pending?custom_value=q&wait=30' },
  { method: 'PUT', url: '/jobs/1/update-status', payload: { status: 'Completed' } },
  { method: 'POST', url: '/events', payload: { job_id: 1, message: 'x' } },
] as const

test('While the database is away, every API says so in its own form, and when to come back.', async (t) => {
  const logger = pino({ level: 'silent' })
  const server = await compose(compile(settle([layer]).values, '/'), { logger, version: '0', keys: [] })
  const { storage, clock } = server.context.ports
  await storage.migrations.migrate({ now: clock.now() })
  const app = await buildApp(server.context, OPTIONS, logger)
  t.after(() => app.close())
  await storage.close()
  for (const { method, url, ...more } of CALLS) {
    const call = {
      method,
      url,
      ...more,
      headers: { authorization: 'Bearer a-static-key', ...('headers' in more && more.headers) },
    }
    const answer = await app.inject(call)
    assert.equal(answer.statusCode, 503, `${method} ${url}: ${answer.body}`)
    assert.ok(Number(answer.headers['retry-after']) > 0, `${method} ${url}`)
    const { message, code, status } = answer.json()
    if (url.startsWith('/api/v1/')) assert.deepEqual([code, status, message], ['storage_closed', 503, undefined])
    else assert.deepEqual([typeof message, code], ['string', undefined])
  }
  const ready = await app.inject({ method: 'GET', url: '/readyz' })
  assert.deepEqual([ready.statusCode, Number(ready.headers['retry-after']) > 0], [503, true])
})
