import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runOctoflow } from '../cli/command.ts'
import type { Client } from '../support/client.ts'
import { DATABASES } from '../support/database-server.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory, whenDone } from '../support/owner.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { falseClock } from '../support/stepped-clock.ts'
import { until } from '../support/until.ts'

const HOUR_SECONDS = 3_600

const LEASE_SECONDS = 30

/** Longer than a server that has just started, or seen a step of the clock, leaves leases alone, and looks for lost ones then. */
const SETTLED_SECONDS = 15

describe('Of servers that share a database one has a clock that is wrong:', { concurrency: 2 }, () => {
  for (const { name, install, begin } of Object.values(DATABASES))
    test(`leases hold all the same, and it is told: ${name}`, async (t) => {
      if (install !== null) return skipUnlessCi(t, `${name} is not installed: ${install}`)
      const clock = falseClock(t)
      if (clock === null) return
      clock.set(HOUR_SECONDS)
      const database = await begin()
      whenDone(t, async () => database[Symbol.asyncDispose]())
      const flags = ['--database-url', database.url]
      const right = await startOctoflow(t, { flags })
      const wrong = await startOctoflow(t, { flags, env: clock.env })
      await settled(wrong.client, /ahead/)
      assert.match((await skew(wrong.client)) ?? '', /^The clock of this machine is 1 h ahead of the database’s\.$/)
      assert.ok(wrong.server.log.some(({ msg }) => msg.includes('1 h ahead of the database’s')))
      assert.equal(await skew(right.client), undefined)

      const held = [await take(right.client), await take(wrong.client)]
      for (const { leaseUntil } of held) {
        const left = (Date.parse(leaseUntil) - Date.now()) / 1_000
        assert.ok(left > LEASE_SECONDS - 5 && left < LEASE_SECONDS + 1, `a lease lasts ${left} s`)
      }
      await passed(SETTLED_SECONDS)
      for (const client of [right.client, wrong.client])
        assert.deepEqual(await beat(client, held), ['continue', 'continue'], 'no server took back what it took for lost')

      clock.set(-HOUR_SECONDS)
      await settled(wrong.client, /behind/)
      await passed(SETTLED_SECONDS)
      for (const client of [right.client, wrong.client])
        assert.deepEqual(await beat(client, held), ['continue', 'continue'], 'nor after a step of its clock')

      const data = temporaryDirectory(t)
      const doctor = await runOctoflow(t, ['doctor', '--data', data, ...flags], { env: clock.env })
      assert.match(doctor.stdout, /clock of this machine is 1 h behind the database’s/)
    })
})

interface Lease {
  readonly id: number
  readonly leaseToken: string
  readonly leaseUntil: string
}

/** Submits a job and claims it. */
async function take(client: Client): Promise<Lease> {
  assert.equal((await client.post('/api/v1/jobs', { json: { queue: 'App' } })).status, 201)
  const json = { workerId: 'w', limit: 1, leaseSeconds: LEASE_SECONDS }
  const answer = await client.post('/api/v1/queues/App/claim', { json })
  return (answer.json as { readonly jobs: readonly Lease[] }).jobs[0]!
}

async function beat(client: Client, leases: readonly Lease[]): Promise<readonly string[]> {
  const jobs = leases.map(({ id, leaseToken }) => ({ id, leaseToken }))
  const answer = await client.post('/api/v1/jobs/heartbeat', { json: { workerId: 'w', leaseSeconds: LEASE_SECONDS, jobs } })
  return (answer.json as { readonly jobs: readonly { readonly command: string }[] }).jobs.map(({ command }) => command)
}

async function skew(client: Client): Promise<string | undefined> {
  const { items } = (await client.get('/api/v1/attention')).json as { items: readonly { code: string; message: string }[] }
  return items.find(({ code }) => code === 'clock_skewed')?.message
}

const settled = (client: Client, pattern: RegExp): Promise<unknown> =>
  until(async () => pattern.test((await skew(client)) ?? ''), { what: 'the server has compared the clocks' })

/** Lets a server do what it should not. */
function passed(seconds: number): Promise<unknown> {
  const end = performance.now() + seconds * 1_000
  return until(() => performance.now() > end, { what: 'time has passed', withinSeconds: seconds + 5, everyMs: 250 })
}
