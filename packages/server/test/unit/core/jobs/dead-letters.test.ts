import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from '../../../../src/core/engine/roster.ts'
import { Feed } from '../../../../src/core/feed.ts'
import { DeadLetters } from '../../../../src/core/jobs/dead-letters.ts'
import { Jobs } from '../../../../src/core/jobs/jobs.ts'
import { FIRST_100 } from '../../../conformance/harness.ts'
import { openCore, replacing } from '../core.ts'

test('A page of dead letters holds the bodies of a few requests at a time.', async () => {
  await using core = await openCore()
  const { db } = core
  for (let n = 0; n < 100; n++) await db.finish('dead')
  let [held, most] = [0, 0]
  const ports = core.portsWith(({ requests }) => ({
    requests: replacing(requests, {
      async find(wanted) {
        held += wanted.ids.length
        most = Math.max(most, held)
        const found = await core.storage.requests.find(wanted)
        held -= wanted.ids.length
        return found
      },
    }),
  }))
  const jobs = new Jobs(ports, await core.run(new Roster(ports)), new Feed(ports))
  const { items } = await new DeadLetters(ports, jobs).list({}, FIRST_100, null)
  assert.equal(items.length, 100)
  assert.ok(most > 0 && most <= 20, `${most} bodies at once`)
})
