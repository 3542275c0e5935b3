import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { JOB_STATES } from '../../src/model/job.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { COMPLETED, FIRST_100, LEASE, NOW, newRequest, QUEUE, range, readAll } from '../conformance/harness.ts'
import { Directory, type Disk, mountTmpfs } from './directory.ts'
import { SqliteProcess } from './sqlite-process.ts'
import { withStorage } from './sqlite-storage.ts'

const MEBIBYTE = 2 ** 20

test('what was acknowledged is there after the process was killed, again and again', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  const submitted = new Set<number>()
  const completed = new Set<number>()
  for (const _ of range(1, 4)) {
    await using worker = await SqliteProcess.start()
    const enough = submitted.size + 2_000
    await new Promise<void>((resolve, reject) => {
      worker.listen((tale) => {
        if (tale.kind === 'failed') return reject(new Error(tale.message))
        if (tale.kind === 'submitted') for (const id of tale.ids) submitted.add(id)
        if (tale.kind === 'completed') for (const id of tale.ids) completed.add(id)
        if (submitted.size >= enough) resolve()
      })
      worker.give({ do: 'work', path })
    })
    await worker.kill()
    await assertSound(path, submitted, completed)
  }
  assert.ok(completed.size > 500)
})

test('on a full disk writes are refused, nothing half is stored, and they go on once there is space', async (t) => {
  await using directory = await Directory.make()
  await using disk = await mountTmpfs(directory, '24m')
  if (disk === null) return t.skip('mounting a disk takes root on Linux')
  const path = join(disk.path, 'octoflow.db')
  const troubles: string[] = []
  const acknowledged = new Set<number>()
  await withStorage({ path, onError: (message) => troubles.push(message) }, async (storage) => {
    await storage.migrations.migrate({ now: NOW })
    for (const _ of range(1, 3)) {
      for (const id of await submit(storage)) acknowledged.add(id)
      const ballast = await fill(disk)
      await submitUntilRefused(storage, acknowledged)
      const known = [...acknowledged]
      assert.equal((await storage.jobs.find({ ids: known })).length, known.length, 'reading goes on')
      assert.equal(
        (await storage.queues.list({ page: FIRST_100 })).items[0]?.counts.pending,
        known.length,
        'nothing half is stored',
      )
      await rm(ballast)
      await storage.upkeep.check()
    }
  })
  await assertSound(path, acknowledged, new Set())
  for (const message of troubles) assert.match(message, /full/)
})

test('a new database on a full disk is refused, and is made once there is space', async (t) => {
  await using directory = await Directory.make()
  await using disk = await mountTmpfs(directory, '1m')
  if (disk === null) return t.skip('mounting a disk takes root on Linux')
  const path = join(disk.path, 'octoflow.db')
  const ballast = await fill(disk)
  const make = () => withStorage(path, (storage) => storage.migrations.migrate({ now: NOW }))
  await assert.rejects(make, { code: 'storage_full' })
  await rm(ballast)
  await make()
})

test('the log stays short while writes do not stop, and is gone at the end', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  const items = range(1, 20).map(() => newRequest({ body: JSON.stringify('x'.repeat(4_000)) }))
  let longest = 0
  await withStorage(path, async (storage) => {
    await storage.migrations.migrate({ now: NOW })
    for (let written = 0; written < 300 * MEBIBYTE; written += 800 * 4_000) {
      await Promise.all(range(1, 40).map(() => storage.requests.submit({ now: NOW, items })))
      longest = Math.max(longest, (await storage.upkeep.size()).logBytes)
    }
  })
  assert.ok(longest < 64 * MEBIBYTE, `the log grew to ${Math.round(longest / MEBIBYTE)} MiB`)
  assert.ok(longest > 0)
  assert.equal(existsSync(`${path}-wal`), false)
})

test('a database may be closed at any moment, also while its log is being worked off', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  const body = JSON.stringify('x'.repeat(100_000))
  const ids: number[] = []
  for (const turns of range(1, 12)) {
    await withStorage(path, async (storage) => {
      await storage.migrations.migrate({ now: NOW })
      for (const _ of range(1, 40 + turns * 5)) {
        const [submitted] = await storage.requests.submit({ now: NOW, items: [newRequest({ body })] })
        ids.push(submitted!.id)
      }
    })
    assert.equal(existsSync(`${path}-wal`), false)
  }
  await withStorage(path, async (storage) => assert.equal((await storage.jobs.find({ ids })).length, ids.length))
})

test('one write that fails does not take its many neighbours with it', async () => {
  await using directory = await Directory.make()
  await withStorage(join(directory.path, 'octoflow.db'), async (storage) => {
    await storage.migrations.migrate({ now: NOW })
    const calls = range(0, 1_499).map((n) =>
      n % 500 === 250
        ? storage.operations.abort({ now: NOW, id: n })
        : storage.requests.submit({ now: NOW, items: [newRequest()] }),
    )
    const failed = (await Promise.allSettled(calls)).flatMap(({ status }, n) => (status === 'rejected' ? [n] : []))
    assert.deepEqual(failed, [250, 750, 1_250])
    assert.equal((await storage.queues.list({ page: FIRST_100 })).items[0]?.counts.ready, 1_497)
  })
})

test('what is answered is committed: another process sees it', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  await withStorage(path, async (storage) => {
    await storage.migrations.migrate({ now: NOW })
    const reader = new DatabaseSync(path, { readOnly: true })
    const states = (): unknown[] =>
      reader
        .prepare('SELECT status FROM jobs')
        .all()
        .map(({ status }) => status)
    await storage.requests.submit({ now: NOW, items: [newRequest(), newRequest()] })
    assert.deepEqual(states(), ['Pending', 'Pending'])
    const { jobs } = await storage.leases.claim({ now: NOW, queue: QUEUE, worker: 'w', limit: 2, lease: LEASE })
    assert.deepEqual(states(), ['In Progress', 'In Progress'])
    const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome: COMPLETED, finishedAt: null, events: [] }))
    await storage.leases.report({ now: NOW, reports })
    assert.deepEqual(states(), ['Completed', 'Completed'])
    reader.close()
  })
})

/** What was acknowledged is there, what is there is whole, and the counts are right. */
async function assertSound(path: string, submitted: ReadonlySet<number>, completed: ReadonlySet<number>): Promise<void> {
  await withStorage(path, async (storage) => {
    const jobs = await readAll((page) => storage.jobs.list({ filter: {}, page }), { limit: 1_000, order: 'asc' })
    const states = new Map(jobs.map(({ id, state }) => [id, state]))
    for (const id of submitted) assert.ok(states.has(id), `job ${id} was acknowledged and is gone`)
    for (const id of completed) assert.equal(states.get(id), 'completed')
    const requests = await storage.requests.find({ ids: jobs.map(({ id }) => id) })
    for (const { body } of requests) assert.match(body, /^"x*"$/)
    assert.equal(requests.length, jobs.length)
    for (const { counts } of (await storage.queues.list({ page: FIRST_100 })).items)
      for (const state of JOB_STATES) assert.equal(counts[state], jobs.filter((job) => job.state === state).length, state)
  })
  const database = new DatabaseSync(path, { readOnly: true })
  assert.deepEqual({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' })
  database.close()
}

/** Submits two at once. @returns their ids. */
async function submit(storage: Storage): Promise<number[]> {
  const items = [newRequest({ body: JSON.stringify('x'.repeat(20_000)) }), newRequest({ body: '"xx"' })]
  return (await storage.requests.submit({ now: NOW, items })).map(({ id }) => id)
}

async function submitUntilRefused(storage: Storage, acknowledged: Set<number>): Promise<void> {
  for (const _ of range(1, 1_000)) {
    const settled = await Promise.allSettled(range(1, 10).map(() => submit(storage)))
    for (const result of settled) if (result.status === 'fulfilled') for (const id of result.value) acknowledged.add(id)
    const refusals = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    for (const error of refusals) assert.equal(error.code, 'storage_full')
    if (refusals.length > 0) return
  }
  throw new assert.AssertionError({ message: 'the disk was never full' })
}

/** Fills a disk to the last byte. @returns the file that takes the space. */
async function fill(disk: Disk): Promise<string> {
  const path = join(disk.path, 'ballast')
  const file = await open(path, 'w')
  try {
    for (const size of [MEBIBYTE, 4_096, 1]) {
      const bytes = new Uint8Array(size)
      while (await file.write(bytes).then(({ bytesWritten }) => bytesWritten === size, isFull));
    }
  } finally {
    await file.close()
  }
  return path
}

function isFull(error: NodeJS.ErrnoException): false {
  assert.equal(error.code, 'ENOSPC')
  return false
}
