import assert from 'node:assert/strict'
import { AT, after, type Event, expectDetail, idsOf, page, store, system, user } from '../events.ts'
import type { Group } from './harness.ts'

export const reading: Group = (test) => {
  test('An event is read at its three addresses; one that is unknown is 404.', async ({ start }) => {
    const { client } = await start()
    await store(client, [user('u_001'), system('a/b?c')])
    for (const path of ['/v1/events', '/v1/events/get', '/v1/event/get']) {
      assert.deepEqual((await client.get(`${path}/u_001`)).json, user('u_001'))
      assert.deepEqual((await client.get(`${path}/a%2Fb%3Fc`)).json, system('a/b?c'))
      expectDetail(await client.get(`${path}/u_404`), 404, 'Unable to find event log with u_404')
    }
  })

  test('An id of any length and any characters is found, also one that is a word of a path.', async ({ start }) => {
    const { client } = await start()
    const ids = [
      'é😀/#?&%25+ \\"\n',
      '..',
      '%41',
      ' ',
      '\u0000',
      'all',
      'export',
      'stream',
      'get',
      'x'.repeat(257),
      'y'.repeat(12_000),
    ]
    await store(
      client,
      ids.map((id) => user(id)),
    )
    // A client takes dots for a way up.
    for (const id of ids)
      if (id !== '..') {
        const answer = await client.get(`/v1/events/get/${encodeURIComponent(id)}`)
        assert.deepEqual(answer.json, user(id), id.slice(0, 20))
      }
    expectDetail(await client.get('/v1/events/get/A'), 404, 'Unable to find event log with A')
    for (const path of ['/v1/events/get/%', '/v1/events/%ff']) assert.equal((await client.get(path)).status, 400)
  })

  test('What is read can be asked for by HEAD.', async ({ start }) => {
    const { client } = await start()
    await store(client, [user('stream')])
    const types = {
      '': 'application/json',
      '/all': 'application/json',
      '/export': 'application/x-ndjson',
      '/stream': 'text/event-stream',
    }
    for (const [path, type] of Object.entries(types)) {
      const { status, headers, text } = await client.call('HEAD', `/v1/events${path}`)
      assert.deepEqual([status, headers.get('content-type')?.replace(/;.*/, ''), text], [200, type, ''], path)
    }
    assert.equal((await client.call('HEAD', '/v1/events/nothing')).status, 404)
    assert.equal((await client.call('HEAD', '/v1/events/stream?since=x')).status, 400)
    assert.equal((await client.call('HEAD', '/v1/events/stream', { key: null })).status, 401)
  })

  test('All events are a plain list, the oldest first.', async ({ start }) => {
    const { client } = await start()
    await store(
      client,
      Array.from({ length: 1_200 }, (_, n) => user(`${n}`, { timestamp: after(-n) })),
    )
    const all = async (query: string) =>
      ((await client.get(`/v1/events/all${query}`)).json as Event[]).map(({ event_id }) => event_id)
    assert.deepEqual(
      await all(''),
      Array.from({ length: 10 }, (_, n) => `${1_199 - n}`),
    )
    assert.deepEqual(await all('?size=1'), ['1199'])
    assert.equal((await all('?size=1000')).length, 1_000)
  })

  test('A query that does not fit is 400, in the words that clients know.', async ({ start }) => {
    const { client } = await start()
    for (const [query, detail] of WRONG) {
      expectDetail(await client.get(`/v1/events/all?${query}`), 400, [detail])
      expectDetail(await client.get(`/v1/events?${query}`), 400, [detail])
    }
    for (const [query, detail] of WRONG_PAGE) expectDetail(await client.get(`/v1/events?${query}`), 400, [detail])
  })

  test('Pages lead on by cursor and by offset, in both orders.', async ({ start }) => {
    const { client } = await start()
    const ids = Array.from({ length: 250 }, (_, n) => `${n}`)
    await store(
      client,
      ids.map((id, n) => (n % 2 === 0 ? user : system)(id, { timestamp: after(Math.floor(n / 10)) })),
    )
    const first = await page(client)
    const { events, ...rest } = first
    assert.deepEqual(
      events.map(({ event_id }) => event_id),
      ids.slice(0, 100),
    )
    assert.deepEqual({ ...rest, next: typeof rest.next }, { size: 100, from: 0, total: 250, total_exact: true, next: 'string' })
    assert.deepEqual(await idsOf(client, 'size=7'), ids)
    assert.deepEqual(await idsOf(client, 'size=100&order=desc'), ids.toReversed())
    assert.deepEqual(await idsOf(client, 'size=60&from=120'), ids.slice(120))
    assert.deepEqual(await idsOf(client, 'size=60&from=120&order=desc'), ids.toReversed().slice(120))
    const beyond = await page(client, 'from=1000')
    assert.deepEqual(beyond, { events: [], size: 100, from: 1_000, total: 250, total_exact: true, next: null })
    const other = await client.get(`/v1/events?order=desc&cursor=${first.next}`)
    expectDetail(other, 400, ['The cursor does not belong to this list.'])
  })

  test('Filters hold alone and together, and the total with them.', async ({ start }) => {
    const { client } = await start()
    await store(client, [
      user('u1', { timestamp: after(1) }),
      user('u2', { timestamp: after(2), event: { username: 'other', email: 'other@email.com', operation: 'read' } }),
      system('s3', { timestamp: after(3) }),
      system('s4', { timestamp: after(4), event: { system_id: 'id_7', location: 'us', operation: 'write' } }),
      user('u5', { timestamp: after(5), event: { username: 'x'.repeat(5_000), email: 'long@email.com', operation: 'é&=' } }),
    ])
    const expected: readonly (readonly [query: string, ids: readonly string[]])[] = [
      ['type=user', ['u1', 'u2', 'u5']],
      ['type=audit', []],
      [`since=${after(2)}`, ['u2', 's3', 's4', 'u5']],
      [`until=${after(2)}`, ['u1']],
      [`since=${after(2)}&until=${after(4)}`, ['u2', 's3']],
      [`since=${encodeURIComponent('2023-10-01T15:45:04+02:00')}`, ['s4', 'u5']],
      ['username=my_user', ['u1']],
      ['email=other@email.com', ['u2']],
      ['system_id=id_123', ['s3']],
      ['location=us', ['s4']],
      ['operation=write', ['u1', 's4']],
      ['operation=write&type=system', ['s4']],
      [`operation=read&since=${after(3)}&order=desc`, ['s3']],
      ['username=my_user&system_id=id_123', []],
      [`username=${'x'.repeat(5_000)}`, ['u5']],
      [`operation=${encodeURIComponent('é&=')}`, ['u5']],
      ['username=nobody&username=my_user', ['u1']],
      ['unknown=parameter&type=system', ['s3', 's4']],
    ]
    for (const [query, ids] of expected) {
      const answer = await page(client, query)
      assert.deepEqual(
        answer.events.map(({ event_id }) => event_id),
        ids,
        query,
      )
      assert.deepEqual([answer.total, answer.total_exact, answer.next], [ids.length, true, null], query)
      assert.deepEqual(await idsOf(client, `${query}&size=1`), ids, query)
    }
  })

  test('Paths and methods that are not served are told in the words of this API.', async ({ start }) => {
    const { client } = await start()
    const unknown = await client.get('/v1/events/get/a/b')
    expectDetail(unknown, 404, 'Nothing is served at /v1/events/get/a/b.')
    const wrong = await client.put('/v1/events', { json: [] })
    expectDetail(wrong, 405, 'PUT is not served at /v1/events.')
    assert.equal(wrong.headers.get('allow'), 'DELETE, GET, HEAD, POST')
    const text = await client.post('/v1/events', { body: 'x', type: 'text/plain' })
    assert.equal(text.status, 415)
    const broken = await client.post('/v1/events', { body: '[{', type: 'application/json' })
    assert.equal(broken.status, 400)
    assert.ok(Array.isArray((broken.json as { detail: unknown }).detail))
  })

  test('What was stored is there after a restart, and its ids are still taken.', async ({ start }) => {
    const { client, server } = await start()
    await store(client, [user('u_001', { timestamp: AT })])
    await server.stop()
    const again = await start()
    assert.equal((await page(again.client)).total, 1)
    const [result] = (await again.client.post('/v1/events', { json: [user('u_001')] })).json as { error: string }[]
    assert.equal(result!.error, 'duplicate_event_id')
  })
}

const WRONG = [
  ['size=1001', "Input should be less than or equal to 1000 found in ('query', 'size')"],
  ['size=0', "Input should be greater than 0 found in ('query', 'size')"],
  ['size=-1', "Input should be greater than 0 found in ('query', 'size')"],
  ['size=ten', "Input should be a valid integer, unable to parse string as an integer found in ('query', 'size')"],
  ['size=', "Input should be a valid integer, unable to parse string as an integer found in ('query', 'size')"],
  ['size=1.5', "Input should be a valid integer, unable to parse string as an integer found in ('query', 'size')"],
] as const

const WRONG_PAGE = [
  ['from=-1', "Input should be greater than or equal to 0 found in ('query', 'from')"],
  ['from=x', "Input should be a valid integer, unable to parse string as an integer found in ('query', 'from')"],
  [
    'from=99999999999999999999',
    "Input should be a valid integer, unable to parse string as an integer found in ('query', 'from')",
  ],
  ['order=up', "Input should be 'asc' or 'desc' found in ('query', 'order')"],
  ['since=yesterday', "Input should be a valid datetime found in ('query', 'since')"],
  ['until=', "Input should be a valid datetime found in ('query', 'until')"],
  ['cursor=x', 'The cursor does not belong to this list.'],
] as const
