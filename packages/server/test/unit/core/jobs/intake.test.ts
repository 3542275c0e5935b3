import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Feed } from '../../../../src/core/feed.ts'
import { Intake } from '../../../../src/core/jobs/intake.ts'
import { SECOND } from '../../../../src/lib/time.ts'
import { COMPLETED, NOW, newRequest } from '../../../conformance/harness.ts'
import { ADMIN, openCore, replacing } from '../core.ts'

test('A batch that had to wait for its key does not count as made before what happened meanwhile.', async () => {
  await using core = await openCore()
  const { clock, db } = core
  const wish = newRequest({ uniqueKey: 'once' })
  const first = await db.start({ uniqueKey: 'once' })
  const ports = core.portsWith(({ idempotency }) => ({
    idempotency: replacing(idempotency, {
      async begin(params) {
        const state = await idempotency.begin(params)
        clock.step(SECOND)
        await db.report(first, COMPLETED, { now: clock.now() })
        return state
      },
    }),
  }))
  const intake = new Intake(ports, new Feed(ports))
  const [submitted] = await intake.acceptAll([wish], { key: 'k', fingerprint: 'f' }, ADMIN)
  assert.ok(submitted !== undefined && 'outcome' in submitted && submitted.outcome === 'created')
  const [before, after] = [await db.job(first.id), await db.job(submitted.id)]
  assert.equal(before.finishedAt, NOW + SECOND)
  assert.ok(after.createdAt >= before.finishedAt!)
})
