import assert from 'node:assert/strict'
import { createKey } from '../../support/keys.ts'
import { expectDetail, page, store, user } from '../events.ts'
import type { Group } from './harness.ts'

export const access: Group = (test) => {
  test('Reading needs a viewer, storing a producer, deleting an operator.', async ({ start }) => {
    const { client } = await start()
    await store(client, [user('a')])
    const CALLS = [
      ['GET', '/v1/events', 'viewer'],
      ['GET', '/v1/events/all', 'viewer'],
      ['GET', '/v1/events/a', 'viewer'],
      ['POST', '/v1/events', 'producer'],
      ['DELETE', '/v1/events?type=system', 'operator'],
    ] as const
    const roles = ['viewer', 'producer', 'worker', 'operator', 'admin'] as const
    for (const role of roles) {
      const key = await createKey(client, { name: role, role })
      for (const [method, path, needed] of CALLS) {
        const answer = await client.call(method, path, { key, ...(method === 'POST' && { json: [user('a')] }) })
        assert.equal(
          answer.status === 403,
          roles.indexOf(role) < roles.indexOf(needed),
          `${role} ${method} ${path}: ${answer.text}`,
        )
      }
    }
    for (const [method, path] of CALLS)
      expectDetail(await client.call(method, path, { key: null }), 401, 'No valid credential was sent.')
  })

  test('A key that is limited to queues sees no log events.', async ({ start }) => {
    const { client } = await start()
    const key = await createKey(client, { name: 'scoped', role: 'admin', queues: ['a'] })
    expectDetail(
      await client.get('/v1/events', { key }),
      403,
      'The credential is limited to queues, and log events belong to none.',
    )
    assert.equal((await client.post('/v1/events', { key, json: [user('a')] })).status, 403)
  })

  test('With PUBLIC_APIS=log-events everybody may store and read, and nothing else.', async ({ start }) => {
    const { client } = await start({ env: { PUBLIC_APIS: 'processing,log-events' } })
    const answer = await client.post('/v1/events', { key: null, json: [user('a')] })
    assert.equal(answer.status, 200)
    assert.equal((await client.get('/v1/events/a', { key: null })).status, 200)
    assert.equal((await client.get('/v1/events', { key: 'of no meaning here' })).status, 200)
    assert.equal((await client.delete('/v1/events?type=user', { key: null })).status, 401)
    assert.equal((await client.get('/api/v1/jobs', { key: null })).status, 401)
    assert.equal((await client.post('/request', { key: null, json: {} })).status, 401)
    assert.equal((await page(client)).total, 1)
  })
}
