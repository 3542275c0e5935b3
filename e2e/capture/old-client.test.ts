import assert from 'node:assert/strict'
import type { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import { capture } from './capturing.ts'
import { OldClient } from './old-client.ts'

interface Outcome {
  readonly id: number
  readonly status: string
  readonly is_handled: number
  readonly messages: string
}

/** How each job of the queue ended, by id. */
const outcomes = (database: DatabaseSync, customValue: string): Outcome[] =>
  database
    .prepare(
      `SELECT j.id, j.status, r.is_handled, (SELECT group_concat(message) FROM events e WHERE e.job_id = j.id) AS messages
         FROM jobs j JOIN requests r ON r.id = j.request_id WHERE r.custom_value = ? ORDER BY j.id`,
    )
    .all(customValue)
    .map((row) => ({ ...row }) as unknown as Outcome)

const unfinished = (database: DatabaseSync): number =>
  database.prepare("SELECT count(*) AS n FROM jobs WHERE status IN ('Pending', 'In Progress')").get()!.n as number

const sorted = (ids: readonly number[]): number[] => ids.toSorted((a, b) => a - b)

test('A client of the old protocol alone works all jobs off, and each ends as it was worked.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const ids: number[] = []
  for (let n = 0; n < 60; n++) {
    // Requests without a job lie between, so that a job's number among the jobs is not its id.
    if (n % 4 === 0) await client.post('/request', { json: { n } })
    ids.push(await capture(client, 'App', { n, succeed: n % 3 !== 0 }))
  }
  const worker = new OldClient(client, 'App', 4, ({ request_raw }) => (JSON.parse(request_raw) as { succeed: boolean }).succeed)
  const running = worker.run()
  await until(() => unfinished(tables) === 0, { what: 'all jobs have ended', withinSeconds: 30 })
  worker.stop()
  await running

  assert.deepEqual(sorted(worker.worked), ids)
  const expected = ids.map((id, n) =>
    n % 3 === 0
      ? { id, status: 'Error', is_handled: 0, messages: 'Failed to process request' }
      : { id, status: 'Completed', is_handled: 1, messages: 'Request processed successfully' },
  )
  await until(() => outcomes(tables, 'App').filter(({ is_handled }) => is_handled === 1).length === 40, {
    what: 'all are marked',
  })
  assert.deepEqual(outcomes(tables, 'App'), expected)
})

test('Two such clients side by side never share a job and leave none, while jobs keep coming.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const workers = [1, 2].map(() => new OldClient(client, 'App', 4, () => true))
  const running = workers.map((worker) => worker.run())
  const submitted = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const ids: number[] = []
      for (let n = 0; n < 50; n++) ids.push(await capture(client, 'App', { n }))
      return ids
    }),
  )
  await until(() => unfinished(tables) === 0, { what: 'all jobs have ended', withinSeconds: 30 })
  for (const worker of workers) worker.stop()
  await Promise.all(running)

  const ids = sorted(submitted.flat())
  assert.deepEqual(sorted(workers.flatMap(({ worked }) => worked)), ids, 'each job was worked once')
  for (const { worked } of workers) assert.ok(worked.length > 0, 'both had a share')
  assert.deepEqual(
    outcomes(tables, 'App'),
    ids.map((id) => ({ id, status: 'Completed', is_handled: 1, messages: 'Request processed successfully' })),
  )
})

test('Clients of different custom_values leave each other’s jobs alone.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const ids: Record<string, number[]> = { A: [], B: [] }
  for (let n = 0; n < 30; n++) for (const queue of ['A', 'B']) ids[queue]!.push(await capture(client, queue))
  const workers = ['A', 'B'].map((queue) => new OldClient(client, queue, 2, ({ custom_value }) => custom_value === queue))
  const running = workers.map((worker) => worker.run())
  await until(() => unfinished(tables) === 0, { what: 'all jobs have ended', withinSeconds: 30 })
  for (const worker of workers) worker.stop()
  await Promise.all(running)
  assert.deepEqual(
    workers.map(({ worked }) => sorted(worked)),
    [ids.A, ids.B],
  )
})
