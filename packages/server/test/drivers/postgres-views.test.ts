import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MILLISECOND } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { COMPLETED, event, LEASE, newRequest, QUEUE, type Wish } from '../conformance/harness.ts'
import { openSchema, querySchema, SKIPPED, shareServer } from './postgres-storage.ts'

/** What stands in the columns of old, with an Octoflow database read by the user's own SQL. */

const AT = Date.UTC(2026, 2, 14, 9, 26, 53, 589) * MILLISECOND + 793
const LATER = AT + 1_000_500 * MILLISECOND

type Query = (sql: string) => Promise<readonly (string | null)[][]>

shareServer()

function withViews(name: string, body: (storage: Storage, query: Query) => Promise<void>): void {
  test(name, { skip: SKIPPED }, async () => {
    await using opened = await openSchema()
    await opened.storage.migrations.migrate({ now: AT })
    await body(opened.storage, (sql) => querySchema(opened.url, sql))
  })
}

const submit = async ({ requests }: Storage, wish: Wish = {}): Promise<number> =>
  (await requests.submit({ now: AT, items: [newRequest(wish)] }))[0]!.id

withViews('a captured request shows as it came, wherever its body stands', async (storage, query) => {
  const wish: Wish = { source: 'capture', sourceIp: '192.0.2.7', userAgent: 'curl/8.9', method: 'PUT', url: '/request' }
  const long = JSON.stringify('x'.repeat(10_000))
  await submit(storage, { ...wish, body: '{"a":1}' })
  await submit(storage, { ...wish, body: long })
  const columns = 'timestamp, source_ip, user_agent, method, request_url, custom_value, is_handled, request_raw'
  const shown = ['2026-03-14 09:26:53.589793', '192.0.2.7', 'curl/8.9', 'PUT', '/request', QUEUE, '0']
  assert.deepEqual(await query(`SELECT ${columns} FROM requests ORDER BY id`), [
    [...shown, '{"a":1}'],
    [...shown, long],
  ])
})

withViews('a request can be looked for by JSON and by time', async (storage, query) => {
  const id = await submit(storage, { body: '{"customer":{"id":7}}' })
  await submit(storage, { body: '{"customer":{"id":8}}' })
  const sql = "SELECT id FROM requests WHERE request_raw -> 'customer' ->> 'id' = '7' AND timestamp::date = '2026-03-14'"
  assert.deepEqual(await query(sql), [[String(id)]])
})

withViews('jobs show their status in the words of old, and their dates', async (storage, query) => {
  const [completed, running, pending] = [await submit(storage), await submit(storage), await submit(storage)]
  const { jobs } = await storage.leases.claim({ now: AT, queue: QUEUE, worker: 'w', limit: 2, lease: LEASE })
  const report = { ...jobs[0]!, outcome: COMPLETED, finishedAt: null, events: [] }
  await storage.leases.report({ now: LATER, reports: [report] })
  await storage.jobs.label({ id: pending, label: 'Waiting for parts' })
  const [created, finished] = ['2026-03-14 09:26:53.589793', '2026-03-14 09:43:34.089793']
  const sql = 'SELECT id, request_id, created_date, modified_date, finished_date, status FROM jobs ORDER BY id'
  assert.deepEqual(await query(sql), [
    [String(completed), String(completed), created, finished, finished, 'Completed'],
    [String(running), String(running), created, created, null, 'In Progress'],
    [String(pending), String(pending), created, created, null, 'Waiting for parts'],
  ])
})

withViews('events show with their job', async (storage, query) => {
  const jobId = await submit(storage)
  const [id] = await storage.events.append({ now: AT, items: [{ jobId, event: event('half way') }] })
  assert.deepEqual(await query('SELECT id, job_id, timestamp, message FROM events'), [
    [String(id), String(jobId), '2026-03-14 09:26:53.589793', 'half way'],
  ])
})
