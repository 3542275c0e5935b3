import assert from 'node:assert/strict'
import type { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { capture, report, take } from './capturing.ts'

const columns = (database: DatabaseSync, table: string): string[] =>
  database
    .prepare('SELECT name FROM pragma_table_info(?)')
    .all(table)
    .map(({ name }) => String(name))

const DATE = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3,6}$/

test('The tables requests, jobs and events have the columns that users’ own SQL knows.', async (t) => {
  const { database } = await startOctoflow(t)
  const tables = database()
  for (const [table, expected] of Object.entries({
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
  })) {
    const found = columns(tables, table)
    assert.deepEqual(
      expected.filter((column) => !found.includes(column)),
      [],
      table,
    )
  }
})

test('requests shows what GET /request/{id} does, however large the body.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  for (const json of [{}, { a: 'x'.repeat(100_000) }]) {
    const id = await capture(client, 'App', json)
    await client.put(`/request/${id}`, { json: { is_handled: 1 } })
    const { timestamp, request_raw, ...shown } = (await client.get(`/request/${id}`)).json as Record<string, unknown>
    const { timestamp: at, request_raw: raw, ...row } = tables.prepare('SELECT * FROM requests WHERE id = ?').get(id)!
    for (const [column, value] of Object.entries(shown)) assert.equal(row[column], value, column)
    assert.deepEqual(JSON.parse(String(raw)), request_raw)
    assert.match(String(at), DATE)
    assert.equal(String(at).slice(0, 19), String(timestamp).slice(0, 19).replace('T', ' '))
  }
})

test('jobs follows a job from its creation to its end.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const row = () => tables.prepare('SELECT * FROM jobs WHERE id = 1').get()!
  await capture(client, 'App')
  const created = row()
  assert.deepEqual([created.id, created.request_id, created.status, created.finished_date], [1, 1, 'Pending', null])
  assert.match(String(created.created_date), DATE)
  await take(client, 'App')
  const started = row()
  assert.equal(started.status, 'In Progress')
  assert.ok(String(started.modified_date) >= String(created.modified_date))
  await report(client, 1, 'Completed')
  const ended = row()
  assert.equal(ended.status, 'Completed')
  assert.match(String(ended.finished_date), DATE)
  assert.equal(ended.created_date, created.created_date)
  assert.ok(String(ended.modified_date) >= String(started.modified_date))
})

test('A request without a job has no row in jobs; every job has one in requests.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  await client.post('/request', { json: {} })
  await capture(client, 'App')
  assert.deepEqual(
    tables
      .prepare('SELECT id FROM requests ORDER BY id')
      .all()
      .map(({ id }) => id),
    [1, 2],
  )
  assert.deepEqual(
    tables
      .prepare('SELECT j.id, r.custom_value AS name FROM jobs j JOIN requests r ON r.id = j.request_id')
      .all()
      .map((row) => ({ ...row })),
    [{ id: 2, name: 'App' }],
  )
})

test('events shows what was said about a job, with its time.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const id = await capture(client, 'App')
  const { event_id } = (await client.post('/events', { json: { job_id: id, message: 'half way' } })).json as {
    event_id: number
  }
  const row = database().prepare('SELECT * FROM events').get()!
  assert.deepEqual([row.id, row.job_id, row.message], [event_id, id, 'half way'])
  assert.match(String(row.timestamp), DATE)
})
