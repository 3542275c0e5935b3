import assert from 'node:assert/strict'
import { after, type Event, expectDetail, store, system, user } from '../events.ts'
import type { Group } from './harness.ts'

export const exporting: Group = (test) => {
  test('All events that match are exported as NDJSON, in order of time.', async ({ start }) => {
    const { client } = await start()
    const events = Array.from({ length: 2_345 }, (_, n) => (n % 3 === 0 ? system : user)(`${n}`, { timestamp: after(-n) }))
    await store(client, events)
    const lines = async (query: string): Promise<Event[]> => {
      const answer = await client.get(`/v1/events/export?${query}`)
      assert.equal(answer.status, 200)
      assert.match(answer.headers.get('content-type')!, /^application\/x-ndjson/)
      assert.equal(answer.headers.get('content-disposition'), 'attachment; filename="events.ndjson"')
      assert.ok(answer.text === '' || answer.text.endsWith('}\n'))
      return answer.text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Event)
    }
    assert.deepEqual(await lines(''), events.toReversed())
    assert.deepEqual(await lines('order=desc'), events)
    assert.deepEqual(
      await lines('type=system&location=europe&format=ndjson'),
      events.filter(({ type }) => type === 'system').toReversed(),
    )
    assert.deepEqual(await lines('username=nobody'), [])
  })

  test('As CSV, what has commas, quotes and line ends is quoted.', async ({ start }) => {
    const { client } = await start()
    const odd = { username: 'a "b", c', email: 'a@b.cd', operation: 'line\nend' }
    await store(client, [user('u_001', { event: odd }), system('s_1,2')])
    const answer = await client.get('/v1/events/export?format=csv')
    assert.match(answer.headers.get('content-type')!, /^text\/csv/)
    assert.equal(
      answer.text,
      [
        'event_id,type,timestamp,username,email,system_id,location,operation,event',
        'u_001,user,2023-10-01T13:45:00.000Z,"a ""b"", c",a@b.cd,,,"line\nend","{""username"":""a \\""b\\"", c"",""email"":""a@b.cd"",""operation"":""line\\nend""}"',
        '"s_1,2",system,2023-10-01T13:45:00.000Z,,,id_123,europe,read,"{""system_id"":""id_123"",""location"":""europe"",""operation"":""read""}"',
        '',
      ].join('\r\n'),
    )
  })

  test('A format that there is not is 400.', async ({ start }) => {
    const { client } = await start()
    expectDetail(await client.get('/v1/events/export?format=xml'), 400, [
      "Input should be 'ndjson' or 'csv' found in ('query', 'format')",
    ])
  })
}
