import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Waiting, WaitingReason } from '@octoflow/protocol'
import type { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { claim, claimOne, configure, finish, QUEUE, read, report, start, submit, submitMany } from './native.ts'

const waiting = (client: Client, id: number): Promise<Waiting> => read<Waiting>(client, `/jobs/${id}/waiting`)

const reasonsOf = async (client: Client, id: number): Promise<WaitingReason[]> => {
  const { state, waiting: waits, reasons } = await waiting(client, id)
  assert.deepEqual([state, waits], ['pending', true])
  return reasons
}

const codesOf = async (client: Client, id: number): Promise<string[]> => (await reasonsOf(client, id)).map(({ code }) => code)

/** Makes a worker known to serve the queue, so that none is missing. */
const serve = (client: Client): Promise<unknown> => claim(client, { queue: QUEUE })

test('A job that nothing keeps waits only for the next free worker.', async (t) => {
  const { client } = await startOctoflow(t)
  await serve(client)
  const id = await submit(client)
  assert.deepEqual(await codesOf(client, id), ['about_to_start'])
})

test('A job that is not due says until when.', async (t) => {
  const { client } = await startOctoflow(t)
  await serve(client)
  const runAt = '2100-01-01T00:00:00.000Z'
  const [reason, ...others] = await reasonsOf(client, await submit(client, { runAt }))
  assert.deepEqual([reason!.code, reason!.until, others], ['not_due', runAt, []])
})

test('A job of a paused queue says so, and no more of it once the queue is resumed.', async (t) => {
  const { client } = await startOctoflow(t)
  await serve(client)
  await configure(client, { paused: true })
  const id = await submit(client)
  assert.deepEqual(await codesOf(client, id), ['queue_paused'])
  await configure(client, { paused: false })
  assert.deepEqual(await codesOf(client, id), ['about_to_start'])
})

test('A job that no worker has asked for says so.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client)
  assert.deepEqual(await codesOf(client, id), ['no_worker'])
  await claim(client, { queue: 'other' })
  assert.deepEqual(await codesOf(client, id), ['no_worker'], 'a worker of another queue is of no use to it')
})

test('A job whose workers are all drained says so.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await submit(client, { delaySeconds: 600 })
  for (const workerId of ['w-1', 'w-2']) {
    await claim(client, { queue: QUEUE, workerId })
    assert.equal((await client.post(`/api/v1/workers/${workerId}/drain`)).status, 200)
  }
  const [, reason] = await reasonsOf(client, id)
  assert.equal(reason!.code, 'no_worker')
  assert.equal(reason!.message, `The 2 workers of the queue "${QUEUE}" are drained: they take no more jobs.`)
  assert.equal((await client.post('/api/v1/workers/w-2/resume')).status, 200)
  assert.deepEqual(await codesOf(client, id), ['not_due'])
})

test('A job whose concurrency key has no room names who holds it.', async (t) => {
  const { client } = await startOctoflow(t)
  const holder = await start(client, { concurrencyKey: 'customer-7' }, { workerId: 'holder' })
  const id = await submit(client, { concurrencyKey: 'customer-7' })
  const [reason, ...others] = await reasonsOf(client, id)
  assert.deepEqual(
    { ...reason, message: '' },
    { code: 'key_limit', message: '', limit: 1, running: 1, holders: [{ id: holder.id, worker: 'holder' }] },
  )
  assert.match(reason!.message, /customer-7.*job 1 on holder/)
  assert.deepEqual(others, [])
  await report(client, holder, { outcome: 'completed' })
  assert.deepEqual(await codesOf(client, id), ['about_to_start'])
})

test('A job of a queue that runs as many as it may says how many those are.', async (t) => {
  const { client } = await startOctoflow(t)
  await configure(client, { concurrency: 2 })
  await start(client)
  await start(client)
  const [reason] = await reasonsOf(client, await submit(client))
  assert.deepEqual([reason!.code, reason!.limit, reason!.running], ['queue_limit', 2, 2])
})

test('A job that waits for a rate limit says until when: its queue’s, or its key’s.', async (t) => {
  const { client } = await startOctoflow(t)
  const rateLimit = { limit: 1, periodSeconds: 3_600 }
  await configure(client, { rateLimit })
  await start(client)
  const queued = await submit(client)
  const [ofQueue] = await reasonsOf(client, queued)
  assert.equal(ofQueue!.code, 'queue_rate')
  const wait = Date.parse(ofQueue!.until!) - Date.now()
  assert.ok(wait > 3_400_000 && wait <= 3_600_000 * 1.05, `${wait} ms`)
  await configure(client, { rateLimit: null, keyRateLimit: rateLimit })
  await claimOne(client)
  await report(client, await start(client, { concurrencyKey: 'k' }), { outcome: 'completed' })
  const ofKey = (await reasonsOf(client, await submit(client, { concurrencyKey: 'k' }))).find(({ code }) => code === 'key_rate')
  assert.ok(Date.parse(ofKey!.until!) > Date.now())
})

test('A job behind others says how many come before it: the more urgent ones, and the earlier ones of its priority.', async (t) => {
  const { client } = await startOctoflow(t)
  await serve(client)
  await submit(client, { priority: 9 })
  await submitMany(client, new Array(4).fill({}))
  await submit(client, { priority: 0 })
  const id = await submit(client)
  const [reason, ...others] = await reasonsOf(client, id)
  assert.deepEqual([reason!.code, reason!.ahead, others], ['behind_others', 5, []])
  await submit(client, { priority: 0 })
  assert.equal((await reasonsOf(client, id))[0]!.ahead, 6)
})

test('A job whose key has no room says how many of its key come before it.', async (t) => {
  const { client } = await startOctoflow(t)
  const keyed = { concurrencyKey: 'customer-7' }
  await start(client, keyed)
  await submitMany(client, [{ priority: 0 }, keyed, keyed])
  const [holder, others] = await reasonsOf(client, await submit(client, keyed))
  assert.deepEqual([holder!.code, others!.code, others!.ahead], ['key_limit', 'behind_others', 2])
  assert.equal(others!.message, '2 jobs with the concurrency key "customer-7" wait before it.')
})

test('All that stands in the way is told, the firmest first.', async (t) => {
  const { client } = await startOctoflow(t)
  await configure(client, { paused: true })
  assert.deepEqual(await codesOf(client, await submit(client, { delaySeconds: 600 })), ['not_due', 'queue_paused', 'no_worker'])
})

test('A job that runs or has finished waits for nothing.', async (t) => {
  const { client } = await startOctoflow(t)
  const running = await start(client)
  assert.deepEqual(await waiting(client, running.id), { state: 'running', waiting: false, reasons: [] })
  const done = await finish(client, 'completed')
  assert.deepEqual(await waiting(client, done), { state: 'completed', waiting: false, reasons: [] })
})
