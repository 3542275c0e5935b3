import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { monotonicNow } from './support/journal.ts'
import { Site } from './support/site.ts'
import { attemptsAt, begun, concluded, messages, reached, renewed, submit, view } from './support/watching.ts'

const DONE = 'Request processed successfully'

describe('A worker whose server goes away', { concurrency: 2 }, () => {
  for (const [how, end] of [
    ['is stopped', (site: Site) => site.stop()],
    ['is killed', (site: Site) => site.kill()],
  ] as const)
    test(`keeps its jobs when it ${how} and comes back, and goes on to take others.`, async (t) => {
      const site = await Site.open(t)
      const worker = await site.worker()
      const gate = join(site.directory, 'gate')
      const ids = [await submit(site, { gate }), await submit(site, { gate }), await submit(site, { gate })]
      for (const id of ids) await begun(site, id)

      await end(site)
      await site.start()
      const later = await submit(site, {})
      await reached(site, later, 'completed')
      worker.open(gate)

      for (const id of ids) {
        const { attempt, result } = await reached(site, id, 'completed')
        const [only, ...others] = attemptsAt(site, id)
        assert.deepEqual(others, [], 'no second attempt')
        assert.deepEqual([attempt, result?.run], [1, only!.run])
        assert.equal((await messages(site, id)).filter((message) => message === DONE).length, 1, 'reported once')
      }
    })

  test('reports what it finished meanwhile when the server is back, once.', async (t) => {
    const site = await Site.open(t)
    const worker = await site.worker()
    const gate = join(site.directory, 'gate')
    const id = await submit(site, { gate })
    await begun(site, id)

    await site.kill()
    worker.open(gate)
    await concluded(site, id)
    await site.start()

    const { attempt, attempts } = await reached(site, id, 'completed')
    assert.deepEqual([attempt, attempts.length], [1, 1])
    assert.equal(attemptsAt(site, id).length, 1)
    assert.equal((await messages(site, id)).filter((message) => message === DONE).length, 1)
  })

  test('has its finished work accepted although the leases ended while there was no server.', async (t) => {
    const site = await Site.open(t)
    const worker = await site.worker({ leaseSeconds: 1 })
    const gate = join(site.directory, 'gate')
    const obedient = await submit(site, { gate: join(site.directory, 'never') })
    const stubborn = await submit(site, { gate, stubborn: true })
    for (const id of [obedient, stubborn]) await begun(site, id)

    await site.kill()
    assert.equal((await concluded(site, obedient)).cause, 'lease_expired')
    worker.open(gate)
    await concluded(site, stubborn)
    await site.start()

    const { attempt, result } = await reached(site, stubborn, 'completed')
    const [only, ...others] = attemptsAt(site, stubborn)
    assert.deepEqual(others, [], 'no second attempt')
    assert.deepEqual([attempt, result?.run], [1, only!.run])
  })

  test('stops its handlers by itself when their leases have ended, and begins anew when the server is back.', async (t) => {
    const site = await Site.open(t)
    const worker = await site.worker({ leaseSeconds: 1 })
    const gate = join(site.directory, 'gate')
    const id = await submit(site, { gate })
    await begun(site, id)

    await site.kill()
    const first = await concluded(site, id)
    assert.deepEqual([first.conclusion, first.cause], ['aborted', 'lease_expired'])
    await site.start()

    const second = await begun(site, id, 2, 20)
    assert.ok(first.end <= second.begin)
    worker.open(gate)
    const { result } = await reached(site, id, 'completed')
    assert.equal(result?.run, second.run)
  })

  test('keeps its jobs through restart after restart, for longer than a lease.', async (t) => {
    const leaseSeconds = 5
    const site = await Site.open(t)
    const worker = await site.worker({ leaseSeconds })
    const gate = join(site.directory, 'gate')
    const id = await submit(site, { gate })
    const { begin } = await begun(site, id)
    let seen = await view(site, id)
    while (monotonicNow() < begin + 2 * leaseSeconds * 1_000_000) {
      await site.kill()
      await site.start()
      // The worker has found this server, too.
      await reached(site, await submit(site, {}), 'completed')
      seen = await renewed(site, id, seen)
    }
    worker.open(gate)
    const { attempt } = await reached(site, id, 'completed')
    assert.equal(attempt, 1)
    assert.equal(attemptsAt(site, id).length, 1)
  })
})
