import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DATABASES } from '../support/database-server.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { seeded } from './support/seed.ts'
import { sharedStorm } from './support/shared-storm.ts'

/** On a machine that keeps up, each server and each worker is killed once. How soon all is well again is told by a soak. */
const SECONDS = 11

// FerretDB does six jobs a second, too few for so short a storm; `npm run soak -- --database mongodb` gives it a longer one.
for (const { name, install, begin } of [DATABASES.postgres, DATABASES.mariadb])
  test(`No acknowledged work is lost, doubled or stuck when servers that share ${name}, workers and ${name} itself are killed under load.`, async (t) => {
    if (install !== null) return skipUnlessCi(t, `${name} is not installed: ${install}`)
    await seeded(async (seed) => {
      await using database = await begin()
      const counts = await sharedStorm(database, { seed, seconds: SECONDS })
      t.diagnostic(JSON.stringify({ seed, ...counts }))
      assert.ok(counts.serverKills > 0 && counts.workerKills > 0, 'servers and workers were killed')
      assert.ok(counts.cutOff + counts.doneTwice > 0, 'workers were killed while they had jobs')
      assert.ok(counts.retries > 0, 'answers were lost and asked for again')
    })
  })
