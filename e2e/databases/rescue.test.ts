import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Client } from '../support/client.ts'
import { DATABASES } from '../support/database-server.ts'
import { whenDone } from '../support/owner.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { ServerProcess } from '../support/server-process.ts'
import { until } from '../support/until.ts'

/** Longer than a server that has just started leaves leases alone. */
const LEASE_SECONDS = 14

const RESCUE_SECONDS = 2

describe('Of servers that share a database', { concurrency: 2 }, () => {
  for (const { name, install, begin } of Object.values(DATABASES))
    test(`the one that leads is killed, and lost jobs are taken back within the lease and two seconds all the same: ${name}`, async (t) => {
      if (install !== null) return skipUnlessCi(t, `${name} is not installed: ${install}`)
      const database = await begin()
      whenDone(t, async () => database[Symbol.asyncDispose]())
      const flags = ['--database-url', database.url]
      const leader = new ServerProcess(t, { flags })
      await leader.listening()
      const other = new ServerProcess(t, { flags })
      await other.listening()
      const client = new Client(other.url)
      const submitted = await client.post('/api/v1/jobs', { json: { queue: 'App' } })
      assert.equal(submitted.status, 201, submitted.text)
      const [lost] = await claim(client, { leaseSeconds: LEASE_SECONDS })
      const leaseEnd = Date.parse(lost!.leaseUntil)
      await until(() => Date.now() > leaseEnd - 1_000, { what: 'the lease has nearly ended', withinSeconds: LEASE_SECONDS })
      await leader.kill()

      const [again] = await claim(client, { waitSeconds: 30 })
      const late = (Date.now() - leaseEnd) / 1_000
      assert.equal(again?.id, lost!.id)
      assert.ok(late > 0 && late <= RESCUE_SECONDS, `taken back ${late} s after the end of its lease`)
    })
})

interface Lease {
  readonly id: number
  readonly leaseUntil: string
}

async function claim(client: Client, more: object): Promise<readonly Lease[]> {
  const answer = await client.post('/api/v1/queues/App/claim', { json: { workerId: 'w', limit: 1, ...more } })
  assert.equal(answer.status, 200, answer.text)
  return (answer.json as { readonly jobs: readonly Lease[] }).jobs
}
