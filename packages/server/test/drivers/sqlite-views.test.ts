import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { test } from 'node:test'
import { MILLISECOND } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { COMPLETED, DISCARDED, event, LEASE, newRequest, QUEUE, RELEASED, type Wish } from '../conformance/harness.ts'
import { Directory } from './directory.ts'
import { withStorage } from './sqlite-storage.ts'

/** What stands in the columns of old, with an Octoflow database opened by the user's own SQL. */

const AT = Date.UTC(2026, 2, 14, 9, 26, 53, 589) * MILLISECOND + 793
const LATER = AT + 1_000_500 * MILLISECOND

type Row = Record<string, SQLOutputValue>

type Query = (sql: string) => Row[]

function withDatabase(name: string, body: (storage: Storage, query: Query) => Promise<void>): void {
  test(name, async () => {
    await using directory = await Directory.make()
    const path = join(directory.path, 'octoflow.db')
    await withStorage(path, async (storage) => {
      await storage.migrations.migrate({ now: AT })
      const database = new DatabaseSync(path, { readOnly: true })
      await body(storage, (sql) =>
        database
          .prepare(sql)
          .all()
          .map((row) => ({ ...row })),
      )
      database.close()
    })
  })
}

async function submit({ requests }: Storage, wish: Wish = {}): Promise<number> {
  return (await requests.submit({ now: AT, items: [newRequest(wish)] }))[0]!.id
}

const COLUMNS = {
  requests: [
    'id',
    'timestamp',
    'source_ip',
    'user_agent',
    'method',
    'request_url',
    'request_raw',
    'custom_value',
    'is_handled',
  ],
  jobs: ['id', 'request_id', 'created_date', 'modified_date', 'finished_date', 'status'],
  events: ['id', 'job_id', 'timestamp', 'message'],
} as const

for (const [view, columns] of Object.entries(COLUMNS)) {
  withDatabase(`the view ${view} has the columns that users' own SQL knows`, async (_, query) => {
    const names = query(`SELECT name FROM pragma_table_info('${view}')`).map(({ name }) => name)
    assert.deepEqual(names.slice(0, columns.length), columns)
    assert.deepEqual(query(`SELECT * FROM ${view}`), [])
  })
}

const SELECT_REQUESTS = `SELECT ${COLUMNS.requests.join()} FROM requests ORDER BY id`

withDatabase('a captured request shows as it came', async (storage, query) => {
  const wish: Wish = {
    source: 'capture',
    sourceIp: '192.0.2.7',
    userAgent: 'curl/8.9',
    method: 'PUT',
    url: '/request?custom_value=emails',
  }
  const short = await submit(storage, { ...wish, body: '{"a":1}' })
  const long = await submit(storage, { ...wish, body: JSON.stringify('x'.repeat(10_000)) })
  const columns = {
    timestamp: '2026-03-14 09:26:53.589793',
    source_ip: '192.0.2.7',
    user_agent: 'curl/8.9',
    method: 'PUT',
    request_url: '/request?custom_value=emails',
    custom_value: QUEUE,
    is_handled: 0,
  }
  const [first, second] = query(SELECT_REQUESTS)
  assert.deepEqual(first, { id: short, ...columns, request_raw: '{"a":1}' })
  assert.deepEqual(second, { id: long, ...columns, request_raw: JSON.stringify('x'.repeat(10_000)) })
})

withDatabase('a request without a queue, and a job of the native API, show with what they have', async (storage, query) => {
  const plain = await submit(storage, { queue: null, url: '/request' })
  const native = await submit(storage)
  await storage.requests.setHandled({ ids: [native], handled: true })
  const shown = query(
    'SELECT id, source_ip, user_agent, method, request_url, request_raw, custom_value, is_handled FROM requests',
  )
  const nothing = { source_ip: null, user_agent: null, method: 'POST', request_raw: '{}' }
  assert.deepEqual(shown, [
    { id: plain, ...nothing, request_url: '/request', custom_value: null, is_handled: 0 },
    { id: native, ...nothing, request_url: '/api/v1/jobs', custom_value: QUEUE, is_handled: 1 },
  ])
  assert.deepEqual(query('SELECT id FROM jobs'), [{ id: native }])
})

withDatabase('a request can be looked for by JSON and by time', async (storage, query) => {
  const id = await submit(storage, { body: '{"customer":{"id":7}}' })
  await submit(storage, { body: '{"customer":{"id":8}}' })
  const sql = "SELECT id FROM requests WHERE request_raw ->> '$.customer.id' = 7 AND date(timestamp) = '2026-03-14'"
  assert.deepEqual(query(sql), [{ id }])
})

withDatabase('jobs show their status in the words of old, and their dates', async (storage, query) => {
  const ids = []
  for (const _ of [1, 2, 3, 4, 5]) ids.push(await submit(storage))
  const [completed, cancelled, dead, running, pending] = ids as [number, number, number, number, number]
  const { jobs } = await storage.leases.claim({ now: AT, queue: QUEUE, worker: 'w', limit: 4, lease: LEASE })
  const outcomes = [COMPLETED, { kind: 'cancelled', reason: null }, DISCARDED] as const
  const reports = outcomes.map((outcome, index) => ({ ...jobs[index]!, outcome, finishedAt: null, events: [] }))
  await storage.leases.report({ now: LATER, reports })
  const created = { created_date: '2026-03-14 09:26:53.589793' }
  const finished = { ...created, modified_date: '2026-03-14 09:43:34.089793', finished_date: '2026-03-14 09:43:34.089793' }
  const unfinished = { ...created, modified_date: '2026-03-14 09:26:53.589793', finished_date: null }
  assert.deepEqual(query(`SELECT ${COLUMNS.jobs.join()} FROM jobs ORDER BY id`), [
    { id: completed, request_id: completed, ...finished, status: 'Completed' },
    { id: cancelled, request_id: cancelled, ...finished, status: 'Cancelled' },
    { id: dead, request_id: dead, ...finished, status: 'Error' },
    { id: running, request_id: running, ...unfinished, status: 'In Progress' },
    { id: pending, request_id: pending, ...unfinished, status: 'Pending' },
  ])
})

withDatabase('a job that waits, for whatever, shows as pending', async (storage, query) => {
  await submit(storage, { runAt: LATER })
  await submit(storage, { concurrencyKey: 'k' })
  await submit(storage, { concurrencyKey: 'k' })
  assert.deepEqual(query('SELECT DISTINCT status FROM jobs'), [{ status: 'Pending' }])
})

withDatabase('a status label shows until something is reported', async (storage, query) => {
  const id = await submit(storage)
  await storage.jobs.label({ id, label: 'Waiting for parts' })
  assert.deepEqual(query('SELECT status FROM jobs'), [{ status: 'Waiting for parts' }])
  const { jobs } = await storage.leases.claim({ now: AT, queue: QUEUE, worker: 'w', limit: 1, lease: LEASE })
  assert.deepEqual(query('SELECT status FROM jobs'), [{ status: 'In Progress' }])
  await storage.jobs.label({ id, label: 'Half way' })
  assert.deepEqual(query('SELECT status FROM jobs'), [{ status: 'Half way' }])
  const report = { id, fence: jobs[0]!.fence, finishedAt: null, events: [] }
  await storage.leases.report({ now: AT, reports: [{ ...report, outcome: RELEASED }] })
  assert.deepEqual(query('SELECT status FROM jobs'), [{ status: 'Pending' }])
  await storage.leases.report({ now: AT, reports: [{ ...report, fence: null, outcome: COMPLETED }] })
  assert.deepEqual(query('SELECT status FROM jobs'), [{ status: 'Completed' }])
})

withDatabase('events show with their job', async (storage, query) => {
  const jobId = await submit(storage)
  const [id] = await storage.events.append({ now: AT, items: [{ jobId, event: event('half way') }] })
  const shown = { id: id!, job_id: jobId, timestamp: '2026-03-14 09:26:53.589793', message: 'half way' }
  assert.deepEqual(query(`SELECT ${COLUMNS.events.join()} FROM events`), [shown])
  await storage.requests.delete({ now: AT, ids: [jobId] })
  assert.deepEqual(query('SELECT id FROM events'), [])
})

withDatabase('a time shortly before a full second is not rounded up to it', async (storage, query) => {
  await storage.requests.submit({ now: AT - (AT % 1_000_000) + 999_999, items: [newRequest()] })
  assert.deepEqual(query('SELECT timestamp FROM requests'), [{ timestamp: '2026-03-14 09:26:53.999999' }])
})
