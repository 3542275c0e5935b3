import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import type { Job, JobDetail, Submitted, Worker } from '@octoflow/protocol'
import { Client } from '../support/client.ts'
import { type Octoflow, startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory } from '../support/owner.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { ServerProcess } from '../support/server-process.ts'
import { until, within } from '../support/until.ts'
import { EXAMPLES, type Example, ExampleWorker, LEASE_SECONDS, whyNot } from './example-worker.ts'

const QUEUE = 'shouts'

async function submit(client: Client, payload: unknown, settings: object = {}): Promise<number> {
  const answer = await client.post('/api/v1/jobs', { json: { queue: QUEUE, payload, ...settings } })
  return (answer.json as Submitted).id
}

const read = async (client: Client, id: number): Promise<JobDetail> =>
  (await client.get(`/api/v1/jobs/${id}`)).json as JobDetail

const untilState = (client: Client, id: number, state: Job['state']): Promise<JobDetail> =>
  until(
    async () => {
      const job = await read(client, id)
      return job.state === state && job
    },
    { what: `job ${id} is ${state}`, withinSeconds: 40 },
  )

/** The worker not only has the job, as far as the server knows, but has sent a heartbeat for it. */
async function untilWorkedOn(client: Client, id: number): Promise<void> {
  const { leaseUntil } = await untilState(client, id, 'running')
  await until(async () => (await read(client, id)).leaseUntil !== leaseUntil, { what: `the lease on job ${id} is renewed` })
}

/** A server, and the example at work on the queue. `null` where it cannot run, and the test is skipped. */
async function start(t: TestContext, example: Example): Promise<(Octoflow & { readonly worker: ExampleWorker }) | null> {
  const reason = whyNot(example)
  if (reason !== null) {
    skipUnlessCi(t, reason)
    return null
  }
  const octoflow = await startOctoflow(t)
  return { ...octoflow, worker: new ExampleWorker(t, example, octoflow.server.url, QUEUE) }
}

// They wait for most of their time, so that some may do so at once.
for (const example of EXAMPLES)
  suite(example.name, { concurrency: 3 }, () => {
    test('works a job off, and reports its result.', async (t) => {
      const running = await start(t, example)
      if (running === null) return
      const { client, worker } = running
      const job = await untilState(client, await submit(client, { text: 'hello' }), 'completed')
      assert.deepEqual(job.result, { shouted: 'HELLO' })
      assert.equal(await worker.stop(), 0, 'it ends at once while it has nothing to do')
      assert.equal(worker.said, '')
    })

    test('reports what went wrong.', async (t) => {
      const running = await start(t, example)
      if (running === null) return
      const { client } = running
      const job = await untilState(client, await submit(client, { txt: 'hello' }, { maxAttempts: 1 }), 'dead')
      assert.match(job.error?.message ?? '', /text|string/)
      const next = await untilState(client, await submit(client, { text: 'next' }), 'completed')
      assert.deepEqual(next.result, { shouted: 'NEXT' })
    })

    test('keeps a job for longer than its lease by heartbeats.', async (t) => {
      const running = await start(t, example)
      if (running === null) return
      const { client } = running
      const id = await submit(client, { text: 'slowly', seconds: 1.5 * LEASE_SECONDS })
      const { result, attempt } = await untilState(client, id, 'completed')
      assert.deepEqual({ result, attempt }, { result: { shouted: 'SLOWLY' }, attempt: 1 })
    })

    test('stops working on a job that is cancelled, and goes on with the next.', async (t) => {
      const running = await start(t, example)
      if (running === null) return
      const { client } = running
      const id = await submit(client, { text: 'for ever', seconds: 600 })
      await untilState(client, id, 'running')
      await client.post(`/api/v1/jobs/${id}/cancel`, { json: {} })
      await untilState(client, id, 'cancelled')
      await untilState(client, await submit(client, { text: 'next' }), 'completed')
    })

    test('finishes what it holds and ends when it is drained.', async (t) => {
      const running = await start(t, example)
      if (running === null) return
      const { client, worker } = running
      const id = await submit(client, { text: 'last', seconds: LEASE_SECONDS })
      await untilWorkedOn(client, id)
      const { items } = (await client.get('/api/v1/workers')).json as { readonly items: readonly Worker[] }
      assert.equal(items.length, 1)
      await client.post(`/api/v1/workers/${encodeURIComponent(items[0]!.id)}/drain`)
      assert.equal(await within(40, 'waiting until the worker ends', worker.ended), 0)
      assert.equal((await read(client, id)).state, 'completed')
    })

    test('finishes what it holds and ends on SIGTERM.', async (t) => {
      const running = await start(t, example)
      if (running === null) return
      const { client, worker } = running
      const id = await submit(client, { text: 'last', seconds: LEASE_SECONDS })
      await untilWorkedOn(client, id)
      const waiting = await submit(client, { text: 'for another worker' })
      assert.equal(await worker.stop(), 0)
      assert.deepEqual([(await read(client, id)).state, (await read(client, waiting)).state], ['completed', 'pending'])
    })

    test('survives a crash of the server, and delivers what it finished meanwhile.', async (t) => {
      const running = await start(t, example)
      if (running === null) return
      const { client, server } = running
      const id = await submit(client, { text: 'meanwhile', seconds: LEASE_SECONDS })
      await untilWorkedOn(client, id)
      await server.kill()
      const again = new ServerProcess(t, { data: server.data, flags: ['--port', String(server.port)] })
      await again.listening()
      const reached = new Client(again.url)
      const { result, attempt } = await untilState(reached, id, 'completed')
      assert.deepEqual({ result, attempt }, { result: { shouted: 'MEANWHILE' }, attempt: 1 })
      await untilState(reached, await submit(reached, { text: 'next' }), 'completed')
    })
  })

/** The real one, a second late, as on a busy machine. */
const SLOW_SETSID = `#!/usr/bin/env bash
touch "$(dirname "$0")/started"
sleep 1
PATH=\${PATH#*:} exec setsid "$@"
`

test('The worker in shell takes a claim with it that has hardly begun.', async (t) => {
  const example = EXAMPLES.find(({ name }) => name === 'The worker in shell')!
  const reason = whyNot(example)
  if (reason !== null) return skipUnlessCi(t, reason)
  const commands = temporaryDirectory(t)
  writeFileSync(join(commands, 'setsid'), SLOW_SETSID, { mode: 0o755 })
  const { server } = await startOctoflow(t)
  const worker = new ExampleWorker(t, example, server.url, QUEUE, commands)
  await until(() => existsSync(join(commands, 'started')), { what: 'the claim is being started' })
  assert.equal(await worker.stop(), 0)
  assert.equal(worker.said, '')
})
