import assert from 'node:assert/strict'
import type { Client } from '../../support/client.ts'
import { until } from '../../support/until.ts'
import { after, expectDetail, idsOf, page, store, system, user } from '../events.ts'
import { appWithTypes } from '../types.ts'
import type { Group } from './harness.ts'

export const deleting: Group = (test) => {
  test('All events that match a filter are deleted by an operation that can be followed.', async ({ start }) => {
    const { client } = await start()
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
    for (const query of ['type=system&locatoin=us', 'all=true&size=1', 'all=true&usernam='])
      expectDetail(await client.delete(`/v1/events?${query}`), 400, [
        `Extra inputs are not permitted found in ('query', '${/&(\w+)/.exec(query)![1]}')`,
      ])
    assert.equal((await page(client)).total, 1_500)
    assert.equal((await remove(client, 'all=true')).changed, 1_500)
    assert.deepEqual(await page(client), { events: [], size: 100, from: 0, total: 0, total_exact: true, next: null })
  })

  test('What has outlived the retention of its type is deleted.', async ({ t, start }) => {
    const days = (count: number): string => new Date(Date.now() - count * 86_400_000).toISOString()
    const app = appWithTypes(t, { user: { retentionDays: 10 }, audit: { schema: {}, retentionDays: null } })
    const audit = (id: string, timestamp: string) => ({ type: 'audit', event_id: id, timestamp, event: {} })
    const { client, server } = await start({ flags: ['--app', app] })
    await store(client, [
      user('old', { timestamp: days(11) }),
      user('young', { timestamp: days(9) }),
      system('old system', { timestamp: days(40) }),
      system('young system', { timestamp: days(20) }),
      audit('ancient', '1999-12-31T23:59:59Z'),
    ])
    await server.stop()
    const again = await start({ flags: ['--app', app], env: { LOG_EVENTS_RETENTION_DAYS: '30' } })
    await until(async () => (await page(again.client)).total === 3, { what: 'the old ones are deleted' })
    assert.deepEqual(await idsOf(again.client), ['ancient', 'young system', 'young'])
  })
}

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
  await until(async () => (await read()).state === 'completed', { what: 'the events are deleted', withinSeconds: 60 })
  return read()
}
