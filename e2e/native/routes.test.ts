import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CreatedKey } from '@octoflow/protocol'
import type { Answer, Call, Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import { LiveUpdates } from './live-updates.ts'
import {
  bodyOf,
  claimOne,
  configure,
  detail,
  finish,
  finishedOperation,
  QUEUE,
  start,
  startOperation,
  submit,
} from './native.ts'

/** Calls the native API and notes which routes were served. Each answer is held against its schema by the client. */
class Walk {
  readonly served = new Set<string>()
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  async call(method: string, path: string, json?: unknown): Promise<Answer> {
    const call: Call = json === undefined ? {} : { json }
    const answer = await this.#client.call(method, `/api/v1${path}`, call)
    assert.ok(answer.status >= 200 && answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
    await this.note(method, path)
    return answer
  }

  async note(method: string, path: string): Promise<void> {
    const openApi = await this.#client.openApi()
    this.served.add(`${method} ${openApi.template(`/api/v1${path.split('?', 1)[0]}`)}`)
  }
}

test('Every route of the native API is served, and answers as it is documented to.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const walk = new Walk(client)

  await walk.call('POST', '/jobs', { queue: QUEUE, payload: { n: 1 }, labels: { a: 'b' } })
  await walk.call('POST', '/jobs', { jobs: [{ queue: QUEUE }, { queue: '' }] })
  await walk.call('GET', '/jobs?queue=emails&state=pending&label=a')
  await walk.call('GET', '/jobs/1')
  await walk.call('GET', '/jobs/1/waiting')
  await walk.call('PATCH', '/jobs/1', { priority: 0 })

  await walk.call('POST', `/queues/${QUEUE}/claim`, { workerId: 'w', limit: 1 })
  const { leaseToken } = await claimOne(client)
  await walk.call('POST', '/jobs/heartbeat', { workerId: 'w', jobs: [{ id: 2, leaseToken, progress: { fraction: 1 } }] })
  await walk.call('POST', '/jobs/report', { workerId: 'w', jobs: [{ id: 2, leaseToken, outcome: 'discarded' }] })
  await walk.call('POST', '/jobs/1/events', { message: 'hello', data: [1] })
  await walk.call('GET', '/jobs/1/events')
  await walk.call('GET', '/jobs/1/timeline')
  await walk.call('POST', '/jobs/1/cancel', { reason: 'enough' })

  await walk.call('GET', '/dead-letters')
  await walk.call('GET', '/dead-letters/2')
  await walk.call('POST', '/dead-letters/2/replay')
  const done = await finish(client, 'completed', { queue: 'other' })
  await walk.call('POST', `/jobs/${done}/retry`)
  await walk.call('DELETE', `/jobs/${done}`)

  await configure(client, { concurrency: 2, rateLimit: { limit: 9, periodSeconds: 1 } })
  await walk.call('GET', '/queues')
  await walk.call('GET', `/queues/${QUEUE}`)
  await walk.call('PATCH', `/queues/${QUEUE}`, { paused: true })
  await walk.call('GET', '/workers')
  await walk.call('POST', '/workers/w/drain')
  await walk.call('POST', '/workers/w/resume')
  await walk.call('GET', '/requests')
  await walk.call('GET', '/requests/1')

  const { id } = bodyOf<{ id: number }>(
    await walk.call('POST', '/operations', { action: 'retry', filter: { state: 'dead' } }),
    202,
  )
  await finishedOperation(client, id)
  await walk.call('GET', '/operations')
  await walk.call('GET', `/operations/${id}`)
  await walk.call('DELETE', `/operations/${await unfinishedOperation(client)}`)

  const key = bodyOf<CreatedKey>(await walk.call('POST', '/keys', { name: 'a', role: 'viewer', queues: [QUEUE] }), 201)
  await walk.call('GET', '/keys')
  await walk.call('POST', `/keys/${key.id}/rotate`)
  await walk.call('DELETE', `/keys/${key.id}`)

  await walk.call('GET', '/stats?window=3600&step=60')
  await walk.call('GET', '/attention')
  await walk.call('GET', '/me')
  const updates = await LiveUpdates.open(t, server.url)
  await submit(client, { queue: 'third' })
  await updates.until((all) => all.length > 0, 'an update comes')
  await walk.note('GET', '/stream')

  const documented = (await client.openApi()).routes
    .filter(({ path }) => path.startsWith('/api/v1/'))
    .map(({ method, path }) => `${method} ${path}`)
  assert.deepEqual([...walk.served].sort(), documented.sort())
})

/** One that has so much to do that it cannot have ended by the time it is aborted. */
async function unfinishedOperation(client: Client): Promise<number> {
  const jobs = new Array(1_000).fill({ queue: 'many' })
  for (let batch = 0; batch < 20; batch++) await client.post('/api/v1/jobs', { json: { jobs } })
  return (await startOperation(client, 'delete', { queue: 'many' })).id
}

test('A job whose last attempt was lost, and one in progress, answer as documented, too.', async (t) => {
  const { client } = await startOctoflow(t)
  const walk = new Walk(client)
  const lost = await start(client, { maxAttempts: 1 }, { leaseSeconds: 1 })
  await start(client, { queue: 'other', concurrencyKey: 'k', uniqueKey: 'u', timeoutSeconds: 5 })
  await until(async () => (await detail(client, lost.id)).state === 'dead', { what: 'the lease has run out' })
  for (const path of [
    `/jobs/${lost.id}`,
    '/jobs',
    `/jobs/${lost.id}/timeline`,
    '/jobs/2',
    '/jobs/2/timeline',
    '/jobs/2/waiting',
  ])
    await walk.call('GET', path)
})
