import assert from 'node:assert/strict'
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import type { Client } from '../support/client.ts'
import { smallDisk } from '../support/disks.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { until } from '../support/until.ts'

const MEGABYTES = 48

/** So much is left free at first, for what the server takes before the disk is full. */
const SPARE = 3 * 2 ** 20

const BODY = JSON.stringify({ text: 'x'.repeat(100_000) })

/** Takes the space that is left on a disk, but for a little. @returns gives it back. */
function fill(directory: string): () => void {
  const path = join(directory, 'filler')
  const file = openSync(path, 'a')
  let taken = 0
  try {
    for (let size = 2 ** 20; size >= 1; size = Math.floor(size / 4)) {
      const block = Buffer.alloc(size)
      try {
        while (writeSync(file, block) === size) taken += size
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
      }
    }
    ftruncateSync(file, taken - SPARE)
  } finally {
    closeSync(file)
  }
  return () => rmSync(path)
}

const submit = (client: Client, body = BODY) => client.post('/request?custom_value=App', { body, type: 'application/json' })

/** Submits until nothing more is taken. @returns the ids of what was. */
async function submitUntilFull(client: Client, body: string): Promise<number[]> {
  const ids: number[] = []
  while (true) {
    const answer = await submit(client, body)
    if (answer.status !== 200) {
      assert.equal(answer.status, 507, answer.text)
      return ids
    }
    ids.push((answer.json as { readonly id: number }).id)
  }
}

const found = async (client: Client, id: number): Promise<boolean> => (await client.get(`/request/${id}`)).status === 200

test('On a full disk the server says so, loses and half-stores nothing, and goes on by itself once there is space.', async (t: TestContext) => {
  const disk = smallDisk(t, MEGABYTES)
  if ('missing' in disk) return skipUnlessCi(t, disk.missing)
  const data = join(disk.path, 'data')
  const { client, server } = await startOctoflow(t, { data })
  const stored = [((await submit(client)).json as { id: number }).id]
  const claimed = await client.post('/api/v1/queues/App/claim', { json: { workerId: 'w' } })
  const [{ id, leaseToken }] = (claimed.json as { jobs: [{ id: number; leaseToken: string }] }).jobs

  const free = fill(disk.path)
  stored.push(...(await submitUntilFull(client, BODY)), ...(await submitUntilFull(client, '{}')))
  const before = await client.get('/api/v1/queues/App')

  const refused = await submit(client)
  assert.deepEqual([refused.status, refused.json], [507, { message: 'The disk that holds the database is full.' }])
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  const problem = await client.post('/api/v1/jobs', { json: { jobs: Array.from({ length: 1_000 }, () => ({ queue: 'App' })) } })
  assert.equal(problem.status, 507)
  assert.equal((problem.json as { code: string }).code, 'storage_full')
  const report = { workerId: 'w', jobs: [{ id, leaseToken, outcome: 'completed', result: 'x'.repeat(200_000) }] }
  assert.equal((await client.post('/api/v1/jobs/report', { json: report })).status, 507)

  // What the check writes is smaller than any job, so that there may be room for it a few times more.
  const ready = await until(
    async () => {
      const answer = await client.get('/readyz')
      return answer.status === 503 && answer
    },
    { what: 'the server says that it is not ready', everyMs: 1 },
  )
  assert.ok(Number(ready.headers.get('retry-after')) > 0)

  assert.equal((await client.get('/healthz')).status, 200, 'it lives')
  for (const known of [stored[0]!, stored.at(-1)!]) assert.ok(await found(client, known), 'what was taken can be read')
  assert.equal((await client.get('/api/v1/queues/App')).text, before.text, 'of what was refused, nothing is there')
  const { items } = (await client.get('/api/v1/attention')).json as { items: readonly { code: string; severity: string }[] }
  assert.ok(items.some(({ code, severity }) => code === 'disk_low' && severity === 'critical'))

  free()
  assert.equal((await client.get('/readyz')).status, 200)
  const next = await submit(client)
  assert.equal(next.status, 200, next.text)
  stored.push((next.json as { id: number }).id)
  const reported = await client.post('/api/v1/jobs/report', { json: report })
  assert.deepEqual(reported.json, { jobs: [{ id, ok: true }] }, 'the lease has lasted')

  await server.stop()
  assertSound(data, stored)
})

test('A server that is killed on a full disk starts again once there is space, with all that it had taken.', async (t: TestContext) => {
  const disk = smallDisk(t, MEGABYTES)
  if ('missing' in disk) return skipUnlessCi(t, disk.missing)
  const data = join(disk.path, 'data')
  const { client, server } = await startOctoflow(t, { data })
  const free = fill(disk.path)
  const stored = [...(await submitUntilFull(client, BODY)), ...(await submitUntilFull(client, '{}'))]
  await server.kill()
  free()
  const { client: again, server: next } = await startOctoflow(t, { data })
  for (const id of stored) assert.ok(await found(again, id), `${id} was answered with 200`)
  await next.stop()
  assertSound(data, stored)
})

/** Fails unless the database is whole and holds these requests with their jobs, and no others. */
function assertSound(data: string, ids: readonly number[]): void {
  const database = new DatabaseSync(join(data, 'octoflow.db'), { readOnly: true })
  try {
    assert.deepEqual({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' })
    for (const table of ['requests', 'jobs'])
      assert.deepEqual(
        database
          .prepare(`SELECT id FROM ${table} ORDER BY id`)
          .all()
          .map(({ id }) => id),
        ids,
        table,
      )
  } finally {
    database.close()
  }
}
