import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MILLISECOND } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { COMPLETED, event, LEASE, newRequest, QUEUE, type Wish } from '../conformance/harness.ts'
import { openDatabase, SKIPPED, shareServer } from './mysql-storage.ts'

/** What stands in the columns of old, with an Octoflow database read by the user's own SQL. */

const AT = Date.UTC(2026, 2, 14, 9, 26, 53, 589) * MILLISECOND + 793
const LATER = AT + 1_000_500 * MILLISECOND

type Query = (sql: string) => Promise<readonly Record<string, unknown>[]>

shareServer()

function withViews(name: string, body: (storage: Storage, query: Query) => Promise<void>): void {
  test(name, { skip: SKIPPED }, async () => {
    await using opened = await openDatabase()
    await opened.storage.migrations.migrate({ now: AT })
    await body(opened.storage, opened.query)
  })
}

const submit = async ({ requests }: Storage, wish: Wish = {}): Promise<number> =>
  (await requests.submit({ now: AT, items: [newRequest(wish)] }))[0]!.id

withViews('a captured request shows as it came, wherever its body stands', async (storage, query) => {
  const wish: Wish = {
    source: 'capture',
    sourceIp: '192.0.2.7',
    userAgent: 'curl/8.9',
    method: 'PUT',
    url: `/request?q=${'x'.repeat(600)}`,
    headers: { 'x-a': 'b' },
  }
  const long = JSON.stringify('x'.repeat(10_000))
  const ids = [await submit(storage, { ...wish, body: '{"a":1}' }), await submit(storage, { ...wish, body: long })]
  const shown = {
    timestamp: '2026-03-14 09:26:53.589793',
    source_ip: '192.0.2.7',
    user_agent: 'curl/8.9',
    method: 'PUT',
    request_url: wish.url,
    custom_value: QUEUE,
    is_handled: 0,
    source: 'capture',
    content_type: 'application/json',
    headers: wish.headers,
  }
  const rows = await query(`SELECT id, request_raw, ${Object.keys(shown).join()} FROM requests ORDER BY id`)
  assert.deepEqual(
    rows,
    ['{"a":1}', long].map((body, index) => ({ id: ids[index], request_raw: body, ...shown })),
  )
})

withViews('a request without a queue, and a job of the native API, show with what they have', async (storage, query) => {
  const plain = await submit(storage, { queue: null, url: '/request' })
  const native = await submit(storage)
  await storage.requests.setHandled({ ids: [native], handled: true })
  const nothing = { source_ip: null, user_agent: null, method: 'POST', request_raw: '{}' }
  assert.deepEqual(
    await query(
      'SELECT id, source_ip, user_agent, method, request_url, request_raw, custom_value, is_handled FROM requests ORDER BY id',
    ),
    [
      { id: plain, ...nothing, request_url: '/request', custom_value: null, is_handled: 0 },
      { id: native, ...nothing, request_url: '/api/v1/jobs', custom_value: QUEUE, is_handled: 1 },
    ],
  )
  assert.deepEqual(await query('SELECT id FROM jobs'), [{ id: native }])
})

withViews('a request can be looked for by JSON and by time', async (storage, query) => {
  const id = await submit(storage, { body: '{"customer":{"id":7}}' })
  await submit(storage, { body: '{"customer":{"id":8}}' })
  const sql = "SELECT id FROM requests WHERE JSON_VALUE(request_raw, '$.customer.id') = 7 AND DATE(timestamp) = '2026-03-14'"
  assert.deepEqual(await query(sql), [{ id }])
})

withViews('jobs show their status in the words of old, and their dates', async (storage, query) => {
  const [completed, running, pending] = [await submit(storage), await submit(storage), await submit(storage)]
  const { jobs } = await storage.leases.claim({ now: AT, queue: QUEUE, worker: 'w', limit: 2, lease: LEASE })
  const report = { ...jobs[0]!, outcome: COMPLETED, finishedAt: null, events: [] }
  await storage.leases.report({ now: LATER, reports: [report] })
  await storage.jobs.label({ id: pending, label: 'Waiting for parts' })
  const [created, finished] = ['2026-03-14 09:26:53.589793', '2026-03-14 09:43:34.089793']
  const sql = 'SELECT id, request_id, created_date, modified_date, finished_date, status FROM jobs ORDER BY id'
  assert.deepEqual(
    (await query(sql)).map((row) => Object.values(row)),
    [
      [completed, completed, created, finished, finished, 'Completed'],
      [running, running, created, created, null, 'In Progress'],
      [pending, pending, created, created, null, 'Waiting for parts'],
    ],
  )
})

withViews('events show with their job', async (storage, query) => {
  const jobId = await submit(storage)
  const [id] = await storage.events.append({ now: AT, items: [{ jobId, event: event('half way') }] })
  assert.deepEqual(await query('SELECT id, job_id, timestamp, message FROM events'), [
    { id, job_id: jobId, timestamp: '2026-03-14 09:26:53.589793', message: 'half way' },
  ])
})
