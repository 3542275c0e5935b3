import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Client } from '../support/client.ts'
import { temporaryDirectory } from '../support/owner.ts'
import { ServerProcess } from '../support/server-process.ts'
import { until } from '../support/until.ts'
import { integrity, reading } from './support/database.ts'
import { readJobs } from './support/found.ts'
import { Random, seeded } from './support/seed.ts'
import { Site } from './support/site.ts'
import { submit, submitMany } from './support/watching.ts'

const TWENTY = 20

/** The exit code for whatever in the configuration or the data directory keeps a server from starting. */
const CONFIG = 7

/** How long the servers may go on that are killed; a database is made in some 5 ms. */
const MAKING_MS = [0, 0, 1, 2, 3, 5, 8, 13]

describe('Of servers that start', () => {
  test(`${TWENTY} at once on one new data directory, exactly one serves, and another can when that one is dead.`, async (t) => {
    const data = join(temporaryDirectory(t), 'data')
    const servers = Array.from({ length: TWENTY }, () => new ServerProcess(t, { data }))
    // Those that give up say why, and that is an error.
    for (const server of servers) server.mayLogErrors = true
    const outcomes = await Promise.allSettled(servers.map((server) => server.listening()))
    const serving = servers.filter((_, index) => outcomes[index]!.status === 'fulfilled')
    assert.equal(serving.length, 1)
    const [winner] = serving

    for (const server of servers) {
      if (server === winner) continue
      const { code, stdout, stderr } = await server.ended
      assert.equal(code, CONFIG)
      assert.match(stdout + stderr, /Another Octoflow server is using .*data/)
      assert.match(stdout + stderr, /--data/, 'it says how to mend it')
      assert.doesNotMatch(stdout + stderr, /listening on/)
    }
    const answer = await new Client(winner!.url).post('/request?custom_value=App', { json: {} })
    assert.equal(answer.status, 200)

    await winner!.kill()
    const heir = new ServerProcess(t, { data })
    await heir.listening()
    assert.equal((await new Client(heir.url).get('/request/1')).status, 200)
  })

  test('where one is killed at any moment of making its database, the next one serves.', async (t) => {
    let interrupted = 0
    for (const delay of MAKING_MS) {
      const data = join(temporaryDirectory(t), 'data')
      const doomed = new ServerProcess(t, { data })
      const database = join(data, 'octoflow.db')
      await until(() => existsSync(database), { what: 'the server begins its database', everyMs: 1 })
      await setTimeout(delay)
      await doomed.kill()
      if (!isMade(data)) interrupted++

      const heir = new ServerProcess(t, { data })
      await heir.listening()
      const client = new Client(heir.url)
      assert.equal((await client.post('/request?custom_value=App', { json: {} })).status, 200)
      assert.equal((await client.get('/readyz')).status, 200)
      await heir.stop()
      assert.deepEqual(integrity(data), ['ok'])
    }
    assert.ok(interrupted > 0, 'a server was killed while it made its database')
  })

  test('again and again on one directory and are killed, none loses what was stored.', async (t) => {
    await seeded(async (seed) => {
      const random = new Random(seed)
      const site = await Site.open(t)
      const ids = [...(await submitMany(site, 500, () => ({ payload: { text: 'x'.repeat(2_000) } })))]
      for (let start = 1; start <= 12; start++) {
        await site.kill()
        site.begin()
        if (random.chance(0.7)) await setTimeout(random.between(0, 500))
        else {
          await site.server.listening()
          ids.push(await submit(site, {}))
        }
      }
      await site.server.listening()
      const jobs = await readJobs(site.client)
      assert.deepEqual(
        jobs.map(({ id }) => id),
        ids,
      )
    })
  })
})

/** Whether all tables are there. A file that was left in the midst of a change cannot be read without mending it. */
function isMade(data: string): boolean {
  try {
    return reading(data, (database) => database.prepare('PRAGMA user_version').get()!.user_version !== 0)
  } catch {
    return false
  }
}
