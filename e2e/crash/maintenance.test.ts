import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { until } from '../support/until.ts'
import { count, integrity, reading } from './support/database.ts'
import { readCounts, readJobs } from './support/found.ts'
import { Random, seeded } from './support/seed.ts'
import { Site } from './support/site.ts'
import { submit, submitMany } from './support/watching.ts'

interface Operation {
  readonly id: number
  readonly state: string
  readonly examined: number
  readonly changed: number
  readonly skipped: number
}

const JOBS = 12_000
const KILLS = 4

describe('A server that is killed', () => {
  test('while it acts on many jobs goes on with that when it is back, and acts on each once.', async (t) => {
    await seeded(async (seed) => {
      const random = new Random(seed)
      const site = await Site.open(t)
      const before = await submit(site, {}, { queue: 'other' })
      await submitMany(site, JOBS, () => ({ payload: {} }))
      const { id } = await startOperation(site, { action: 'cancel', filter: { queue: 'work' } })
      const after = await submit(site, {})
      let interrupted = 0
      for (let kill = 1; kill <= KILLS; kill++) {
        await setTimeout(random.between(0, 60))
        await site.kill()
        if (operationState(site, id) === 'running') interrupted++
        await site.start()
      }
      const operation = await until(
        async () => {
          const seen = await readOperation(site, id)
          return seen.state !== 'running' && seen
        },
        { what: 'the operation is carried out', withinSeconds: 30 },
      )
      assert.ok(interrupted > 0, 'it was under way when the server was killed')
      assert.deepEqual(
        [operation.state, operation.examined, operation.changed, operation.skipped],
        ['completed', JOBS, JOBS, 0],
      )
      const states = new Map((await readJobs(site.client)).map((job) => [job.id, job.state]))
      assert.deepEqual([states.get(before), states.get(after)], ['pending', 'pending'], 'what it does not concern is as it was')
      assert.equal([...states.values()].filter((state) => state === 'cancelled').length, JOBS)
      assert.equal((await readCounts(site.client)).get('work')!.cancelled, JOBS)
    })
  })

  test('while it deletes what has outlived its retention leaves nothing half deleted, and goes on when it is back.', async (t) => {
    const site = await Site.open(t)
    await submitMany(site, JOBS, (index) => ({ payload: { index }, labels: { customer: String(index % 10) } }))
    const { id } = await startOperation(site, { action: 'cancel', filter: { queue: 'work' } })
    await until(async () => (await readOperation(site, id)).state === 'completed', {
      what: 'all are cancelled',
      withinSeconds: 30,
    })
    const kept = await submit(site, {})
    assert.equal((await site.client.patch('/api/v1/queues/work', { json: { retentionDays: 0 } })).status, 200)
    await site.stop()

    // Each server begins to delete when it starts.
    let interrupted = 0
    for (let kill = 1; kill <= KILLS && left(site) > 1; kill++) {
      const before = left(site)
      site.begin()
      await until(() => left(site) < before, { what: 'the server deletes', withinSeconds: 30, everyMs: 1 })
      await site.kill()
      if (left(site) > 1) interrupted++
      assertWhole(site)
    }
    assert.ok(interrupted > 0, 'it was deleting when it was killed')
    await site.start()
    await until(() => left(site) === 1, { what: 'all are deleted', withinSeconds: 30 })
    assertWhole(site)
    assert.deepEqual(
      (await readJobs(site.client)).map((job) => job.id),
      [kept],
    )
    const counts = (await readCounts(site.client)).get('work')!
    assert.deepEqual([counts.pending, counts.cancelled], [1, 0])
    await site.stop()
    assert.deepEqual(integrity(site.data), ['ok'])
  })
})

async function startOperation(site: Site, json: unknown): Promise<Operation> {
  const answer = await site.client.post('/api/v1/operations', { json })
  assert.ok(answer.status === 201 || answer.status === 202, answer.text)
  return answer.json as Operation
}

async function readOperation(site: Site, id: number): Promise<Operation> {
  const answer = await site.client.get(`/api/v1/operations/${id}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.json as Operation
}

const operationState = (site: Site, id: number): unknown =>
  reading(site.data, (database) => database.prepare('SELECT state FROM octoflow_operations WHERE id = ?').get(id)?.state)

const left = (site: Site): number => count(site.data, 'octoflow_requests')

/** Whatever hangs on a request is there if that is, and gone if it is gone; and the queue's counts are right. */
function assertWhole(site: Site): void {
  reading(site.data, (database) => {
    for (const table of ['octoflow_job_labels', 'octoflow_events', 'octoflow_attempts'] as const) {
      const orphans = database
        .prepare(`SELECT count(*) AS n FROM ${table} WHERE job_id NOT IN (SELECT id FROM octoflow_requests)`)
        .get()
      assert.equal(orphans!.n, 0, `rows of ${table} without a request`)
    }
    const row = database.prepare("SELECT id, cancelled FROM octoflow_queues WHERE name = 'work'").get()!
    const actual = database
      .prepare('SELECT count(*) AS n FROM octoflow_requests WHERE queue_id = ? AND stage = 5')
      .get(row.id as number)
    assert.equal(row.cancelled, actual!.n, 'the count of cancelled jobs')
    const labels = database.prepare('SELECT count(*) AS n FROM octoflow_job_labels').get()!
    // Each label stands there twice, with and without its value.
    assert.equal(labels.n, 2 * (actual!.n as number), 'jobs that are left have their labels')
  })
}
