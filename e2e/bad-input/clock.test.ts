import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Client } from '../support/client.ts'
import { startWithClock } from '../support/stepped-clock.ts'

const HOUR_SECONDS = 3_600

/** Long enough to outlast a slow machine's pauses, short enough to be waited for. */
const LEASE_SECONDS = 6

/** Longer than the server takes to notice a step of its clock. */
const SNOOZE_SECONDS = 4

/** The server looks for leases that ran out every second. */
const RESCUE_SECONDS = 1.5

interface Lease {
  readonly id: number
  readonly leaseToken: string
}

async function claim(client: Client, more: object = {}): Promise<readonly Lease[]> {
  const json = { workerId: 'w', limit: 10, leaseSeconds: LEASE_SECONDS, ...more }
  return ((await client.post('/api/v1/queues/App/claim', { json })).json as { jobs: readonly Lease[] }).jobs
}

async function heartbeat(client: Client, { id, leaseToken }: Lease): Promise<{ command: string; leaseUntil: string }> {
  const json = { workerId: 'w', leaseSeconds: LEASE_SECONDS, jobs: [{ id, leaseToken }] }
  const { jobs } = (await client.post('/api/v1/jobs/heartbeat', { json })).json as {
    jobs: readonly { readonly command: string; readonly leaseUntil: string }[]
  }
  return jobs[0]!
}

async function report(client: Client, { id, leaseToken }: Lease, more: object = { outcome: 'completed' }): Promise<unknown> {
  const json = { workerId: 'w', jobs: [{ id, leaseToken, ...more }] }
  return (await client.post('/api/v1/jobs/report', { json })).json
}

const submit = async (client: Client): Promise<void> => {
  assert.equal((await client.post('/api/v1/jobs', { json: { queue: 'App' } })).status, 201)
}

describe('A clock that jumps', { concurrency: true }, () => {
  for (const [direction, away] of [
    ['forward', HOUR_SECONDS],
    ['back', -HOUR_SECONDS],
  ] as const)
    test(`A worker keeps its lease when the clock is stepped ${direction} by an hour, and when it is set right again.`, async (t) => {
      const octoflow = await startWithClock(t)
      if (octoflow === null) return
      const { client, step } = octoflow
      await submit(client)
      const [lease] = await claim(client)
      for (const seconds of [away, 0]) {
        const noticed = step(seconds)
        assert.deepEqual(await claim(client), [], 'it is not handed out twice while the step has not been noticed')
        await noticed
        assert.deepEqual(await claim(client, { waitSeconds: RESCUE_SECONDS }), [], 'nor afterwards')
        const { command, leaseUntil } = await heartbeat(client, lease!)
        assert.equal(command, 'continue')
        const left = (Date.parse(leaseUntil) - Date.now()) / 1_000 - seconds
        assert.ok(left > 0 && left <= LEASE_SECONDS + 1, `by the new time, the lease lasts ${left} s`)
      }
      assert.deepEqual(await report(client, lease!), { jobs: [{ id: lease!.id, ok: true }] })
    })

  for (const [direction, away] of [
    ['forward', HOUR_SECONDS],
    ['back', -HOUR_SECONDS],
  ] as const)
    test(`A vanished worker’s job is not stuck when the clock is stepped ${direction}: it comes back when its lease ends.`, async (t) => {
      const octoflow = await startWithClock(t)
      if (octoflow === null) return
      const { client, step } = octoflow
      await submit(client)
      const [lost] = await claim(client)
      const begun = performance.now()
      await step(away)
      const [again] = await claim(client, { waitSeconds: 20 })
      const took = (performance.now() - begun) / 1_000
      assert.equal(again?.id, lost!.id)
      assert.ok(took > LEASE_SECONDS - 1.5 && took < LEASE_SECONDS + 5, `it came back after ${took} s`)
      const { jobs } = (await report(client, lost!)) as { jobs: readonly { readonly code?: string }[] }
      assert.equal(jobs[0]?.code, 'lease_lost', 'who has lost it cannot complete it')
      assert.deepEqual(await report(client, again), { jobs: [{ id: again.id, ok: true }] })
    })

  for (const [direction, away] of [
    ['forward', HOUR_SECONDS],
    ['back', -HOUR_SECONDS],
  ] as const)
    test(`A snoozed job sleeps for as long as it asked to when the clock is stepped ${direction} by an hour.`, async (t) => {
      const octoflow = await startWithClock(t)
      if (octoflow === null) return
      const { client, step } = octoflow
      await submit(client)
      const [lease] = await claim(client)
      await report(client, lease!, { outcome: 'snoozed', delaySeconds: SNOOZE_SECONDS })
      const begun = performance.now()
      await step(away)
      const [again] = await claim(client, { waitSeconds: 20 })
      const slept = (performance.now() - begun) / 1_000
      assert.equal(again?.id, lease!.id)
      assert.ok(slept > SNOOZE_SECONDS - 1 && slept < SNOOZE_SECONDS + 5, `it slept for ${slept} s`)
    })

  test('What needs a look tells of a step of the clock, and jobs go on being taken in and worked off.', async (t) => {
    const octoflow = await startWithClock(t)
    if (octoflow === null) return
    const { client, step } = octoflow
    const attention = async () => {
      const { items } = (await client.get('/api/v1/attention')).json as { items: readonly { code: string; message: string }[] }
      return items.filter(({ code }) => code === 'clock_stepped').map(({ message }) => message)
    }
    assert.deepEqual(await attention(), [])
    for (const [seconds, pattern] of [
      [HOUR_SECONDS, /forward by 1 ?h/],
      [0, /back by 1 ?h/],
    ] as const) {
      await step(seconds)
      const [message, ...others] = await attention()
      assert.match(message ?? '', pattern)
      assert.deepEqual(others, [])
      await submit(client)
      const [lease] = await claim(client)
      assert.deepEqual(await report(client, lease!), { jobs: [{ id: lease!.id, ok: true }] })
    }
  })

  test('One who waits for a job is answered in time, however the clock is stepped meanwhile.', async (t) => {
    const octoflow = await startWithClock(t)
    if (octoflow === null) return
    const { client, step } = octoflow
    const begun = performance.now()
    const waiting = claim(client, { waitSeconds: 3 })
    await step(-HOUR_SECONDS)
    assert.deepEqual(await waiting, [])
    const took = (performance.now() - begun) / 1_000
    assert.ok(took >= 2.9 && took < 8, `it took ${took} s`)
  })
})
