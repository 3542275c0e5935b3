import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from 'pg'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { logEvent, NOW } from '../conformance/harness.ts'
import { stepTooFar } from './log-event-depth.ts'
import { openSchema, SKIPPED, shareServer } from './postgres-storage.ts'

/** What those who follow log events see while a transaction that appends is under way elsewhere. */

shareServer()

const HELD_BACK = [
  ['it is committed', 'COMMIT', ['late', 'early']],
  ['it comes to nothing', 'ROLLBACK', ['early']],
] as const

for (const [name, command, seen] of HELD_BACK)
  test(`An event is not followed before one that was begun earlier, until ${name}.`, { skip: SKIPPED }, async () => {
    await using opened = await openSchema()
    const { storage } = opened
    await storage.migrations.migrate({ now: NOW })
    await using other = await begin(opened.url)
    await other.query(`INSERT INTO octoflow_log_events (sequence, at, id, type, document)
      VALUES (octoflow_allocate_log_events(1), ${NOW}, 'late', 'user', '{}')`)
    await storage.logEvents.append({ events: [logEvent({ id: 'early' })] })
    assert.equal((await storage.logEvents.find({ ids: ['early'] })).length, 1)
    assert.deepEqual(await follow(storage), [])
    assert.equal(await storage.logEvents.end(), '0')
    await other.query(command)
    assert.deepEqual(await follow(storage), seen)
    assert.equal(await storage.logEvents.end(), '2')
  })

test('As many log events are stepped over as a page may cost, and no more.', { skip: SKIPPED }, async () => {
  await using opened = await openSchema()
  await stepTooFar(opened.storage)
})

test('A transaction that does something else holds nobody back, however long it takes.', { skip: SKIPPED }, async () => {
  await using opened = await openSchema()
  const { storage } = opened
  await storage.migrations.migrate({ now: NOW })
  await storage.logEvents.append({ events: [logEvent({ id: 'a' })] })
  await using other = await begin(opened.url)
  await other.query(`UPDATE octoflow_probe SET one = true; UPDATE octoflow_log_events SET type = 'mine'`)
  await storage.logEvents.append({ events: [logEvent({ id: 'b' })] })
  assert.deepEqual(await follow(storage), ['a', 'b'])
})

test('The numbers of events may grow past those that a lock can show.', { skip: SKIPPED }, async () => {
  await using opened = await openSchema()
  const { storage } = opened
  await storage.migrations.migrate({ now: NOW })
  await using other = await begin(opened.url)
  await other.query(`SELECT setval('octoflow_log_event_sequence', ${2 ** 33 - 1}); SELECT octoflow_allocate_log_events(1)`)
  await storage.logEvents.append({ events: [logEvent({ id: 'a' })] })
  const { rows } = await other.query('SELECT complete FROM octoflow_complete_log_events()')
  assert.equal(Number(rows[0].complete), 2 ** 33 - 1)
  await other.query('COMMIT')
  assert.equal(await storage.logEvents.end(), `${2 ** 33 + 1}`)
})

async function follow({ logEvents }: Storage): Promise<string[]> {
  return (await logEvents.follow({ after: null, limit: 10 }))!.events.map(({ id }) => id)
}

/** A transaction of somebody else. */
async function begin(url: string): Promise<Client & AsyncDisposable> {
  const { searchParams } = new URL(url)
  const client = new Client({ connectionString: url.replace(/\?.*$/, '') })
  await client.connect()
  await client.query(`SET search_path = ${searchParams.get('schema')}; BEGIN`)
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}
