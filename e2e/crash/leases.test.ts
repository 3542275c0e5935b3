import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { until } from '../support/until.ts'
import { monotonicNow } from './support/journal.ts'
import { NetworkLink } from './support/network-link.ts'
import { Site } from './support/site.ts'
import { attemptsAt, begun, concluded, reached, submit, view } from './support/watching.ts'

const LEASE_SECONDS = 2

/** The server looks for leases that ran out every second; the other second is for the machine. */
const RESCUE_SECONDS = LEASE_SECONDS + 2

describe('A job whose worker', { concurrency: 2 }, () => {
  test('is killed is with another within the lease and two seconds.', async (t) => {
    const site = await Site.open(t)
    const doomed = await site.worker({ leaseSeconds: LEASE_SECONDS })
    const gate = join(site.directory, 'gate')
    const ids: number[] = []
    for (let job = 0; job < 4; job++) ids.push(await submit(site, { gate }))
    for (const id of ids) await begun(site, id)
    const heir = await site.worker({ leaseSeconds: LEASE_SECONDS })
    await doomed.kill()

    for (const id of ids) {
      const second = await begun(site, id, 2)
      const seconds = (second.begin - doomed.killedAt!) / 1_000_000
      assert.equal(second.worker, heir.name)
      assert.ok(seconds <= RESCUE_SECONDS, `taken over after ${seconds} s`)
    }
    heir.open(gate)
    for (const id of ids) {
      const { attempts } = await reached(site, id, 'completed')
      assert.deepEqual(
        attempts.map(({ outcome }) => outcome),
        ['lease_expired', 'completed'],
      )
    }
  })

  test('is frozen for longer than the lease is left to who took over when the first one wakes.', async (t) => {
    const site = await Site.open(t)
    const frozen = await site.worker({ leaseSeconds: LEASE_SECONDS })
    const gate = join(site.directory, 'gate')
    const id = await submit(site, { gate })
    await begun(site, id)
    const heir = await site.worker({ leaseSeconds: LEASE_SECONDS })
    frozen.freeze()
    const second = await begun(site, id, 2)
    frozen.resume()

    const first = await concluded(site, id)
    assert.deepEqual([first.worker, first.conclusion, first.cause], [frozen.name, 'aborted', 'lease_expired'])
    const { state, worker } = await view(site, id)
    assert.equal(state, 'running')
    assert.ok(worker!.startsWith(heir.name), `${worker} has it`)
    heir.open(gate)
    assert.equal((await reached(site, id, 'completed')).result?.run, second.run)
    assert.equal(attemptsAt(site, id).length, 2)

    await heir.stop()
    const next = await submit(site, {})
    await reached(site, next, 'completed')
    assert.equal(attemptsAt(site, next)[0]!.worker, frozen.name, 'the one that was frozen works again')
  })

  test('is frozen and heeds no signal cannot complete it when it wakes.', async (t) => {
    const site = await Site.open(t)
    const frozen = await site.worker({ leaseSeconds: LEASE_SECONDS })
    const gate = join(site.directory, 'gate')
    const id = await submit(site, { gate, stubborn: true })
    await begun(site, id)
    const heir = await site.worker({ leaseSeconds: LEASE_SECONDS })
    frozen.freeze()
    const second = await begun(site, id, 2)
    frozen.open(gate)
    frozen.resume()

    assert.equal((await concluded(site, id)).conclusion, 'done')
    // It ends when all its reports have been answered.
    await frozen.stop()
    const { state, worker } = await view(site, id)
    assert.equal(state, 'running')
    assert.ok(worker!.startsWith(heir.name), `${worker} has it`)
    heir.open(gate)
    assert.equal((await reached(site, id, 'completed')).result?.run, second.run)
  })

  test('was frozen when it was given the job, and wakes after the lease, is not begun by that one.', async (t) => {
    const site = await Site.open(t)
    const frozen = await site.worker({ leaseSeconds: LEASE_SECONDS })
    const gate = join(site.directory, 'gate')
    await reached(site, await submit(site, {}), 'completed')
    frozen.freeze()
    const id = await submit(site, { gate })
    await until(async () => (await view(site, id)).state === 'running', { what: 'the job is given to the frozen worker' })
    const heir = await site.worker({ leaseSeconds: LEASE_SECONDS, concurrency: 1 })
    const taken = await begun(site, id)
    assert.equal(taken.worker, heir.name)
    frozen.resume()

    // The other has no slot left; and the one that woke finds the answer of long ago before that to a new question.
    const next = await submit(site, {})
    await reached(site, next, 'completed')
    assert.equal(attemptsAt(site, next)[0]!.worker, frozen.name)
    assert.deepEqual(
      attemptsAt(site, id).map(({ worker }) => worker),
      [heir.name],
      'it did not begin what was no longer its own',
    )
    heir.open(gate)
    assert.equal((await reached(site, id, 'completed')).result?.run, taken.run)
  })

  test('is cut off from the server has been stopped before another begins.', async (t) => {
    const site = await Site.open(t)
    const link = await NetworkLink.open(t, site.port)
    const lonely = await site.worker({ leaseSeconds: LEASE_SECONDS, url: link.url })
    const gate = join(site.directory, 'gate')
    const id = await submit(site, { gate })
    await begun(site, id)
    const heir = await site.worker({ leaseSeconds: LEASE_SECONDS })
    const blockedAt = monotonicNow()
    link.block()

    const first = await concluded(site, id)
    const second = await begun(site, id, 2)
    assert.deepEqual([first.worker, first.conclusion, first.cause], [lonely.name, 'aborted', 'lease_expired'])
    assert.ok(first.end <= second.begin, 'the first attempt had ended when the second began')
    assert.ok(second.begin - blockedAt <= RESCUE_SECONDS * 1_000_000, 'the second began in good time')
    link.unblock()
    heir.open(gate)
    assert.equal((await reached(site, id, 'completed')).result?.run, second.run)
    await heir.stop()
    const next = await submit(site, {})
    await reached(site, next, 'completed')
    assert.equal(attemptsAt(site, next)[0]!.worker, lonely.name, 'the one that was cut off works again')
  })
})
