import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { after, COMPLETED, LEASE, NOW, QUEUE } from '../conformance/harness.ts'
import { openSchema, SKIPPED, shareServer } from './postgres-storage.ts'

shareServer()

const KILLS = 12

/** Of each process, what it told between two kills. */
const TALES = 30

interface Tale {
  readonly kind: 'submitted' | 'completed'
  readonly ids: readonly number[]
}

test('Of what servers do together nothing is lost or done twice when they are killed one after the other.', {
  skip: SKIPPED,
  timeout: 180_000,
}, async () => {
  await using opened = await openSchema()
  const { storage, url } = opened
  await storage.migrations.migrate({ now: NOW })
  await storage.queues.configure({ now: NOW, name: QUEUE, change: { keyConcurrency: 3 }, ifVersion: null })
  const submitted: number[] = []
  const completed: number[] = []
  const hear = ({ kind, ids }: Tale): unknown => (kind === 'submitted' ? submitted : completed).push(...ids)
  const servers = Array.from({ length: 3 }, () => start(url, hear))
  for (let kill = 0; kill < KILLS; kill++) {
    await tales(servers[kill % 3]!, TALES)
    await end(servers[kill % 3]!)
    if (kill < KILLS - 3) servers[kill % 3] = start(url, hear)
  }

  await finishRest(storage)
  assert.equal(new Set(submitted).size, submitted.length, 'no id is given twice')
  assert.equal(new Set(completed).size, completed.length, 'no job is completed twice')
  const jobs = await findAll(storage, submitted)
  assert.equal(jobs.length, submitted.length, 'what was acknowledged is there')
  assert.ok(jobs.every(({ state }) => state === 'completed'))
  const [queue] = await storage.queues.find({ names: [QUEUE] })
  const { completed: count, pending, running } = queue!.counts
  assert.deepEqual([pending, running], [0, 0], 'nothing is stuck')
  assert.ok(count >= submitted.length)
  const { items } = await storage.jobs.list({ filter: {}, page: { limit: 1, order: 'desc', after: null } })
  const all = await findAll(
    storage,
    Array.from({ length: items[0]!.id }, (_, index) => index + 1),
  )
  assert.equal(count, all.length, 'the counts are those of what is there')
})

function start(url: string, hear: (tale: Tale) => void): ChildProcess {
  const child = fork(new URL('./postgres-process-main.ts', import.meta.url), [url])
  child.on('message', hear)
  return child
}

/** Resolves when the process has told so often. */
function tales(child: ChildProcess, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let told = 0
    const ended = (): void => reject(new Error('the process ended by itself'))
    child.once('exit', ended)
    child.on('message', function listener() {
      if (++told < count) return
      child.off('message', listener)
      child.off('exit', ended)
      resolve()
    })
  })
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Takes back what the dead held, and completes it with all that waits. */
async function finishRest({ leases }: Storage): Promise<void> {
  const now = after(31)
  while ((await leases.rescue({ now, limit: 1_000 })).length > 0);
  while (true) {
    const { jobs } = await leases.claim({ now, queue: QUEUE, worker: 'last', limit: 500, lease: LEASE })
    if (jobs.length === 0) return
    const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome: COMPLETED, finishedAt: null, events: [] }))
    for (const { error } of await leases.report({ now, reports })) assert.equal(error, null)
  }
}

async function findAll({ jobs }: Storage, ids: readonly number[]): ReturnType<Storage['jobs']['find']> {
  const found = []
  for (let at = 0; at < ids.length; at += 1_000) found.push(...(await jobs.find({ ids: ids.slice(at, at + 1_000) })))
  return found
}
