import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory } from '../support/owner.ts'
import { until } from '../support/until.ts'
import { after, expectDetail, idsOf, page, store, system, user } from './events.ts'

interface Operation {
  readonly action: string
  readonly state: string
  readonly changed: number
  readonly filter: object
}

async function remove(client: Client, query: string): Promise<Operation> {
  const answer = await client.delete(`/v1/events?${query}`)
  assert.equal(answer.status, 202, answer.text)
  const { location } = answer.json as { location: string }
  assert.equal(answer.headers.get('location'), location)
  const read = async () => (await client.get(location)).json as Operation
  await until(async () => (await read()).state === 'completed', { what: 'the events are deleted' })
  return read()
}

test('All events that match a filter are deleted by an operation that can be followed.', async (t) => {
  const { client } = await startOctoflow(t)
  await store(
    client,
    Array.from({ length: 3_000 }, (_, n) => (n % 2 === 0 ? user : system)(`${n}`, { timestamp: after(-n) })),
  )
  const { action, changed, filter } = await remove(client, `type=user&until=${after(-1_000)}`)
  assert.deepEqual(
    { action, changed, filter },
    { action: 'delete_log_events', changed: 999, filter: { type: 'user', until: after(-1_000) } },
  )
  assert.equal((await page(client)).total, 2_001)
  assert.equal((await page(client, 'type=user')).total, 501)
  assert.equal((await remove(client, 'username=my_user&operation=write')).changed, 501)
  assert.equal((await remove(client, 'username=my_user')).changed, 0)
  expectDetail(await client.delete('/v1/events'), 400, [
    "Input should be 'true' where there is no filter found in ('query', 'all')",
  ])
  assert.equal((await remove(client, 'all=true')).changed, 1_500)
  assert.deepEqual(await page(client), { events: [], size: 100, from: 0, total: 0, total_exact: true, next: null })
})

/** An app with types of its own. */
function appWith(t: TestContext, types: unknown): string {
  const app = temporaryDirectory(t)
  mkdirSync(join(app, 'maps'))
  writeFileSync(join(app, 'maps', 'event-types.json'), typeof types === 'string' ? types : JSON.stringify(types))
  return app
}

test('What has outlived the retention of its type is deleted.', async (t) => {
  const days = (count: number): string => new Date(Date.now() - count * 86_400_000).toISOString()
  const app = appWith(t, { user: { retentionDays: 10 }, audit: { schema: {}, retentionDays: null } })
  const audit = (id: string, timestamp: string) => ({ type: 'audit', event_id: id, timestamp, event: {} })
  const { client, server } = await startOctoflow(t, { flags: ['--app', app] })
  await store(client, [
    user('old', { timestamp: days(11) }),
    user('young', { timestamp: days(9) }),
    system('old system', { timestamp: days(40) }),
    system('young system', { timestamp: days(20) }),
    audit('ancient', '1999-12-31T23:59:59Z'),
  ])
  await server.stop()
  const again = await startOctoflow(t, { data: server.data, flags: ['--app', app], env: { LOG_EVENTS_RETENTION_DAYS: '30' } })
  await until(async () => (await page(again.client)).total === 3, { what: 'the old ones are deleted' })
  assert.deepEqual(await idsOf(again.client), ['ancient', 'young system', 'young'])
})

test('Types of the operator’s are checked like the built-in ones, and stand in the documentation.', async (t) => {
  const schema = {
    type: 'object',
    properties: {
      amount: { type: 'number', minimum: 0 },
      email: { type: 'string', format: 'email' },
      operation: { const: 'pay' },
    },
    required: ['amount'],
    additionalProperties: false,
  }
  const app = appWith(t, { payment: { description: 'Somebody paid.', schema, example: { amount: 7.5, operation: 'pay' } } })
  const { client, server } = await startOctoflow(t, { flags: ['--app', app] })
  const payment = (id: string, event: unknown) => ({ type: 'payment', timestamp: after(0), event_id: id, event })
  const events = [
    payment('p1', { amount: 7.5, operation: 'pay' }),
    payment('p2', { amount: -1 }),
    payment('p3', { amount: 1, email: 'nobody' }),
    payment('p4', { amount: 1, other: 1 }),
    payment('p5', { amount: 1, email: 'a@b.cd' }),
    payment('p6', { operation: 'pay' }),
  ]
  const answer = await client.post('/v1/events', { json: events })
  assert.deepEqual(
    (answer.json as { error: string }[]).map(({ error }) => error),
    ['', 'invalid_event', 'invalid_email', 'invalid_event', '', 'invalid_event'],
  )
  assert.deepEqual(await idsOf(client, 'operation=pay'), ['p1'])
  assert.deepEqual(await idsOf(client, 'email=a@b.cd'), ['p5'])
  const document = await (await fetch(`${server.url}/openapi.json`)).text()
  assert.ok(document.includes('Somebody paid.') && document.includes('"amount"') && document.includes('What a user did.'))
})

const BROKEN: readonly (readonly [types: unknown, words: RegExp])[] = [
  ['{', /is not JSON/],
  ['[]', /member for each type/],
  [{ audit: {} }, /"audit" needs a schema/],
  [{ audit: { schema: { type: 'nothing' } } }, /schema of the type "audit"/],
  [{ audit: { schema: {}, retention: 3 } }, /"retention"/],
  [{ audit: { schema: {}, retentionDays: -3 } }, /retentionDays/],
  [{ user: { schema: {} } }, /"user" is built in/],
  [{ '': { schema: {} } }, /needs a name/],
]

test('Types that cannot be used stop the start, with the reason.', async (t) => {
  const { ServerProcess } = await import('../support/server-process.ts')
  for (const [types, words] of BROKEN) {
    const server = new ServerProcess(t, { flags: ['--app', appWith(t, types)] })
    server.mayLogErrors = true
    const { code, stderr, stdout } = await server.ended
    assert.notEqual(code, 0)
    assert.match(stderr + stdout, words)
  }
})
