import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { ServerProcess } from '../support/server-process.ts'
import { after, idsOf } from './events.ts'
import { appWithTypes } from './types.ts'

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
  const app = appWithTypes(t, {
    payment: { description: 'Somebody paid.', schema, example: { amount: 7.5, operation: 'pay' } },
  })
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
  for (const [types, words] of BROKEN) {
    const server = new ServerProcess(t, { flags: ['--app', appWithTypes(t, types)] })
    server.mayLogErrors = true
    const { code, stderr, stdout } = await server.ended
    assert.notEqual(code, 0)
    assert.match(stderr + stdout, words)
  }
})
