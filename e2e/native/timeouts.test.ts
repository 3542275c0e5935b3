import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import { attempts, claim, claimOne, detail, heartbeat, report, reportOf, start, tryReport } from './native.ts'

/** How long a worker has to end its attempt once the time-out has struck, and how often the server looks. */
const GRACE_SECONDS = 5
const LOOK_SECONDS = 1

const NO_BACKOFF = { baseSeconds: 0, factor: 1, maxSeconds: 0, jitter: 0 }

describe('A job with a time-out', { concurrency: 3 }, () => {
  test('is taken from a worker that ignores it and goes on sending heartbeats.', async (t) => {
    const { client } = await startOctoflow(t)
    const held = await start(client, { timeoutSeconds: 1, maxAttempts: 2, backoff: NO_BACKOFF }, { leaseSeconds: 300 })
    assert.equal(held.timeoutSeconds, 1)
    const started = Date.parse((await detail(client, held.id)).startedAt!)
    await until(async () => (await heartbeat(client, [held], { leaseSeconds: 300 }))[0]!.command === 'lost', {
      what: 'the lease is lost',
      withinSeconds: 1 + GRACE_SECONDS + LOOK_SECONDS + 5,
      everyMs: 100,
    })
    assert.ok(Date.now() - started >= 1_000, 'not before the time-out')
    const attempt = await until(async () => (await attempts(client, held.id)).find(({ outcome }) => outcome !== null), {
      what: 'the attempt has ended',
    })
    assert.deepEqual([attempt.outcome, attempt.error!.code], ['failed', 'timeout'])
    const [late] = await tryReport(client, [reportOf(held, { outcome: 'completed' })])
    assert.deepEqual([late!.ok, late!.code], [false, 'lease_lost'])
    const again = await claimOne(client, { waitSeconds: 10 })
    assert.deepEqual([again.id, again.attempt], [held.id, 2])
    await report(client, again, { outcome: 'completed' })
    assert.equal((await detail(client, held.id)).state, 'completed')
  })

  test('that uses up its attempts by it is dead with that error.', async (t) => {
    const { client } = await startOctoflow(t)
    const held = await start(client, { timeoutSeconds: 0.5, maxAttempts: 1 }, { leaseSeconds: 300 })
    await until(async () => (await detail(client, held.id)).state === 'dead', {
      what: 'it is dead',
      withinSeconds: 1 + GRACE_SECONDS + LOOK_SECONDS + 5,
    })
    const { reason, error } = await detail(client, held.id)
    assert.deepEqual([reason, error!.code], ['attempts_exhausted', 'timeout'])
    assert.deepEqual(await claim(client), [])
  })

  test('whose worker ends it in time and reports so has failed by the worker’s word.', async (t) => {
    const { client } = await startOctoflow(t)
    const held = await start(client, { timeoutSeconds: 0.2, maxAttempts: 1 })
    const deadline = Date.now() + 300
    await until(() => Date.now() > deadline, { what: 'the time-out has struck' })
    await report(client, held, { outcome: 'failed', error: { code: 'timeout', message: 'too slow' } })
    const { state, error } = await detail(client, held.id)
    assert.deepEqual([state, error!.message], ['dead', 'too slow'])
  })

  test('that a worker finishes long before is none of the server’s business.', async (t) => {
    const { client } = await startOctoflow(t)
    const held = await start(client, { timeoutSeconds: 60 })
    await report(client, held, { outcome: 'completed', result: 'done' })
    assert.equal((await detail(client, held.id)).result, 'done')
  })
})
