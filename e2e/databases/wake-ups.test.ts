import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Client } from '../support/client.ts'
import { DATABASES, type DatabaseServer } from '../support/database-server.ts'
import { type Octoflow, startOctoflow } from '../support/octoflow.ts'
import { whenDone } from '../support/owner.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { until } from '../support/until.ts'

const ROUNDS = 10

/** Of those who wait at another server, so that what wakes them is seen to be neither the end of their wait nor a look now and then. */
const WAIT_SECONDS = 30

/**
 * What all rounds together may take. By NOTIFY, or within one process, a round takes milliseconds, where the look that makes
 * up for lost notifications comes each five seconds; MariaDB's and FerretDB's servers look each second.
 */
const SECONDS = { PostgreSQL: 10, MariaDB: 2 * ROUNDS, FerretDB: 2 * ROUNDS, SQLite: 10 } as const

describe('A job that comes in at one server is with a worker that waits at another at once:', () => {
  test('on SQLite, where both are the same.', async (t) => {
    const { client } = await startOctoflow(t)
    await wake(client, client, SECONDS.SQLite)
  })

  for (const { name, install, begin } of Object.values(DATABASES))
    test(`on ${name}.`, async (t) => {
      if (install !== null) return skipUnlessCi(t, `${name} is not installed: ${install}`)
      const [first, second] = await startTwo(t, begin)
      await wake(first.client, second.client, SECONDS[name])
      await wake(second.client, first.client, SECONDS[name])
    })
})

describe('An operation on many jobs is carried out whichever server it is asked for at:', () => {
  for (const { name, install, begin } of Object.values(DATABASES))
    test(`on ${name}.`, async (t) => {
      if (install !== null) return skipUnlessCi(t, `${name} is not installed: ${install}`)
      for (const { client } of await startTwo(t, begin)) {
        await submit(client)
        const asked = await client.post('/api/v1/operations', { json: { action: 'cancel', filter: { queue: 'App' } } })
        const { id } = asked.json as { readonly id: number }
        const operation = async () => (await client.get(`/api/v1/operations/${id}`)).json as { state: string; changed: number }
        await until(async () => (await operation()).state === 'completed', { what: 'it is carried out' })
        assert.equal((await operation()).changed, 1)
      }
    })
})

async function startTwo(t: TestContext, begin: () => Promise<DatabaseServer>): Promise<readonly [Octoflow, Octoflow]> {
  const database = await begin()
  whenDone(t, async () => database[Symbol.asyncDispose]())
  const flags = ['--database-url', database.url]
  // The first one leads.
  return [await startOctoflow(t, { flags }), await startOctoflow(t, { flags })]
}

/** Submits job after job at one server, each when somebody waits at the other. */
async function wake(from: Client, to: Client, seconds: number): Promise<void> {
  const begun = performance.now()
  for (let round = 0; round < ROUNDS; round++) {
    const worker = `worker-${round}-${to.url}`
    const json = { workerId: worker, limit: 1, waitSeconds: WAIT_SECONDS }
    const claimed = to.post('/api/v1/queues/App/claim', { json })
    await until(() => isKnown(to, worker), { what: 'the worker waits', everyMs: 5 })
    const id = await submit(from)
    const { jobs } = (await claimed).json as { readonly jobs: readonly { readonly id: number }[] }
    assert.deepEqual(
      jobs.map((job) => job.id),
      [id],
    )
  }
  const took = (performance.now() - begun) / 1_000
  assert.ok(took < seconds, `${ROUNDS} jobs took ${took} s`)
}

async function isKnown(client: Client, worker: string): Promise<boolean> {
  const { items } = (await client.get('/api/v1/workers')).json as { readonly items: readonly { readonly id: string }[] }
  return items.some(({ id }) => id === worker)
}

async function submit(client: Client): Promise<number> {
  const answer = await client.post('/api/v1/jobs', { json: { queue: 'App' } })
  assert.equal(answer.status, 201, answer.text)
  return (answer.json as { readonly id: number }).id
}
