import assert from 'node:assert/strict'
import { test } from 'node:test'
import { integrity } from './support/database.ts'
import { seeded } from './support/seed.ts'
import { Site } from './support/site.ts'
import { storm } from './support/storm.ts'

const KILLS = 20

test('No acknowledged work is lost, doubled or stuck when the server and workers are killed under load.', async (t) => {
  await seeded(async (seed) => {
    const site = await Site.open(t)
    const counts = await storm(site, { seed, kills: KILLS, calmEvery: KILLS, journal: site.journal })
    t.diagnostic(JSON.stringify({ seed, ...counts }))
    assert.ok(counts.workerKills >= 5, 'workers were killed, too')
    assert.ok(counts.cutOff + counts.doneTwice > 0, 'workers were killed while they had jobs')
    assert.ok(counts.retries > 0, 'answers were lost and asked for again')
    await site.stop()
    assert.deepEqual(integrity(site.data), ['ok'])
  })
})
