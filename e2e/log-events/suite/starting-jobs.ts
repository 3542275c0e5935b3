import assert from 'node:assert/strict'
import type { Client } from '../../support/client.ts'
import type { Octoflow } from '../../support/octoflow.ts'
import { until } from '../../support/until.ts'
import { after, type Event, store, system, user } from '../events.ts'
import type { Group } from './harness.ts'

export const startingJobs: Group = (test) => {
  test('An event that a rule matches starts a job, with the event as payload.', async ({ start }) => {
    const octoflow = await start({ config: CONFIG })
    const { client } = octoflow
    const read = user('read', { event: { ...user('').event, operation: 'read' } })
    await store(client, [user('a'), system('b'), read, user('c', { timestamp: after(-5) })])
    await started(octoflow, 'emails', 2)
    await started(octoflow, 'audit', 4)
    const [first, ...others] = await claim(client, 'emails')
    assert.deepEqual([first!.payload, first!.concurrencyKey, first!.priority], [user('a'), 'my_user', 2])
    assert.deepEqual(others, [], 'the next of the same user waits')
    assert.deepEqual(
      (await claim(client, 'audit')).map(({ payload }) => payload.event_id),
      ['a', 'b', 'read', 'c'],
    )
  })

  test('Each event starts its job once and in order for its key, though the server is killed again and again.', async ({
    start,
    share,
  }) => {
    const USERS = 7
    const count = share(6_000)
    let octoflow = await start({ config: CONFIG })
    let sent = 0
    for (let round = 0; round < 4; round++) {
      for (let batch = 0; batch < 3; batch++) {
        const events = Array.from({ length: count / 12 }, () => {
          const id = sent++
          return user(`${id}`, { event: { ...user('').event, username: `u${id % USERS}` } })
        })
        await store(octoflow.client, events)
      }
      await octoflow.server.kill()
      octoflow = await start()
    }
    await started(octoflow, 'emails', count)
    const { client } = octoflow
    const seen = new Map<string, number>()
    let done = 0
    while (done < count) {
      const jobs = await claim(client, 'emails')
      for (const { payload } of jobs) {
        const key = payload.event.username as string
        assert.ok((seen.get(key) ?? -1) < Number(payload.event_id), 'in order')
        seen.set(key, Number(payload.event_id))
      }
      done += jobs.length
      const reports = jobs.map(({ id, leaseToken }) => ({ id, leaseToken, outcome: 'completed' }))
      await client.post('/api/v1/jobs/report', { json: { workerId: 'w', jobs: reports } })
    }
    assert.equal(done, count)
    assert.equal(await countOf(client, 'emails'), 0)
  })
}

const CONFIG = `
on_event:
  - name: welcome
    match: { type: user, operation: write }
    queue: emails
    concurrencyKey: username
    priority: 2
  - name: audit everything
    queue: audit
    maxAttempts: 1
`

interface Claimed {
  readonly id: number
  readonly leaseToken: string
  readonly payload: Event
  readonly concurrencyKey: string | null
  readonly priority: number
}

async function claim(client: Client, queue: string, limit = 1_000): Promise<readonly Claimed[]> {
  const answer = await client.post(`/api/v1/queues/${queue}/claim`, { json: { workerId: 'w', limit } })
  return (answer.json as { jobs: readonly Claimed[] }).jobs
}

const countOf = async (client: Client, queue: string): Promise<number> => {
  const answer = await client.get(`/api/v1/queues/${queue}`)
  if (answer.status === 404) return 0
  return (answer.json as { counts: { pending: number } }).counts.pending
}

const started = (octoflow: Octoflow, queue: string, count: number) =>
  until(async () => (await countOf(octoflow.client, queue)) >= count, { what: `${count} jobs are started`, withinSeconds: 30 })
