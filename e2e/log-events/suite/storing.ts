import assert from 'node:assert/strict'
import { AT, type Event, errorsOf, expectDetail, page, post, store, system, user } from '../events.ts'
import type { Group } from './harness.ts'

export const storing: Group = (test) => {
  test('Events of both types are stored, each answered for itself and in order.', async ({ start }) => {
    const { client } = await start()
    assert.deepEqual(await post(client, [user('u_001'), system('s_123'), user('u_001')]), [
      { event_id: 'u_001', success: true, error: '' },
      { event_id: 's_123', success: true, error: '' },
      { event_id: 'u_001', success: false, error: 'duplicate_event_id' },
    ])
    const insert = await client.post('/v1/events/insert', { json: [user('u_001'), user('u_002')] })
    assert.equal(insert.status, 201)
    assert.deepEqual(insert.json, [
      { event_id: 'u_001', success: false, error: 'duplicate_event_id' },
      { event_id: 'u_002', success: true, error: '' },
    ])
  })

  test('A bad event fails alone.', async ({ t, start }) => {
    const { client } = await start()
    let stored = 0
    for (const [error, events] of Object.entries(BAD))
      await t.test(error, async () => {
        const isBare = (value: unknown): boolean => typeof value !== 'object' || value === null || !('event_id' in value)
        for (const [index, bad] of events.entries()) {
          const expected = error === 'invalid_event' && isBare(bad) && JSON.stringify(bad) === '{}' ? 'invalid_event_id' : error
          const answers = await errorsOf(client, [user(`before ${error} ${index}`), bad, user(`after ${error} ${index}`)])
          assert.deepEqual(answers, ['', expected, ''])
        }
        stored += 2 * events.length
        assert.equal((await page(client)).total, stored)
      })
  })

  test('A stored event comes back as it went in.', async ({ start }) => {
    const { client } = await start()
    for (const good of GOOD) {
      await store(client, [good])
      if (good.event_id.length < 200)
        assert.deepEqual((await client.get(`/v1/events/get/${encodeURIComponent(good.event_id)}`)).json, good)
    }
    assert.deepEqual(new Set((await page(client)).events.map((one) => JSON.stringify(one))).size, GOOD.length)
    assert.deepEqual(await errorsOf(client, [user('x'.repeat(100_000)), user('x'.repeat(100_001))]), ['duplicate_event_id', ''])
  })

  test('Digits, spaces and depth come back as they went in.', async ({ start }) => {
    const { client } = await start()
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
    const extras = ['12345678901234567890', '0.12345678901234567890123', '1e400', '-1E-400', deep]
    for (const [index, extra] of extras.entries()) {
      const text = `{"username":"a", "email":"a@b.cd",\n"operation":"x",\r\n"extra":${extra}}`
      const body = `[{"type":"user","timestamp":"${AT}","event_id":"${index}","event":${text},"other":${extra}}]`
      const answer = await client.post('/v1/events', { body, type: 'application/json' })
      assert.equal(answer.text, `[{"event_id":"${index}","success":true,"error":""}]`)
      const stored = (
        await fetch(`${client.url}/v1/events/${index}`, { headers: { authorization: 'Bearer e2e-static-key' } })
      ).text()
      assert.ok((await stored).includes(`"extra":${extra}}`), `extra ${extra.slice(0, 30)}`)
      assert.ok((await stored).includes(`"other":${extra}}`), `other ${extra.slice(0, 30)}`)
      assert.ok(!(await stored).includes('\n'))
    }
  })

  test('A timestamp is given back in UTC, with the fraction that it came with.', async ({ start }) => {
    const { client } = await start()
    await store(
      client,
      TIMES.map(([timestamp], index) => user(`${index}`, { timestamp })),
    )
    for (const [index, [, expected]] of TIMES.entries())
      assert.equal(((await client.get(`/v1/events/${index}`)).json as Event).timestamp, expected)
  })

  test('What is no batch of 1 to 1,000 events is refused, and nothing of it stored.', async ({ start }) => {
    const { client } = await start()
    const many = (count: number) => Array.from({ length: count }, (_, n) => user(`m_${n}`))
    const valid = ["Input should be a valid list found in ('body',)"]
    for (const json of [{}, user('a'), { events: [user('a')] }, 'text', 7, true, null])
      for (const path of ['/v1/events', '/v1/events/insert']) expectDetail(await client.post(path, { json }), 400, valid)
    expectDetail(await client.post('/v1/events'), 400, valid)
    expectDetail(await client.post('/v1/events', { json: [] }), 400, [
      "List should have at least 1 item after validation, not 0 found in ('body',)",
    ])
    expectDetail(await client.post('/v1/events', { json: many(1_001) }), 400, [
      "List should have at most 1000 items after validation, not 1001 found in ('body',)",
    ])
    assert.equal((await page(client)).total, 0)
    assert.deepEqual(new Set(await errorsOf(client, many(1_000))), new Set(['']))
    assert.equal((await page(client)).total, 1_000)
  })

  test('A body larger than the server takes is 413, and nothing of it is stored.', async ({ start }) => {
    const { client } = await start()
    const json = [user('small'), user('large', { event: { ...user('').event, username: MEGABYTE + MEGABYTE } })]
    const answer = await client.post('/v1/events', { json })
    assert.equal(answer.status, 413, answer.text)
    assert.deepEqual(Object.keys(answer.json as object), ['detail'])
    assert.equal((await page(client)).total, 0)
  })

  test('Of events with the same id in batches sent at once, one is stored.', async ({ start }) => {
    const { client } = await start()
    const batch = Array.from({ length: 100 }, (_, n) => user(`same_${n}`))
    const answers = await Promise.all(Array.from({ length: 20 }, () => errorsOf(client, batch)))
    for (const n of batch.keys()) {
      const errors = answers.map((errors) => errors[n])
      assert.equal(errors.filter((error) => error === '').length, 1)
      assert.equal(errors.filter((error) => error === 'duplicate_event_id').length, 19)
    }
    assert.equal((await page(client)).total, 100)
  })

  test('Of events with the same id at two servers at once, one is stored.', async ({ startTwo }) => {
    const servers = await startTwo()
    if (servers === null) return
    const batch = Array.from({ length: 100 }, (_, n) => user(`same_${n}`))
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => errorsOf(servers[n % 2]!.client, n % 4 < 2 ? batch : batch.toReversed())),
    )
    assert.equal(answers.flat().filter((error) => error === '').length, batch.length)
    assert.equal(answers.flat().filter((error) => error === 'duplicate_event_id').length, 9 * batch.length)
    for (const { client } of servers) assert.equal((await page(client)).total, batch.length)
  })

  test('Of names that stand in an event twice, the last counts.', async ({ start }) => {
    const { client } = await start()
    const text = JSON.stringify(user('b')).replace('{', '{"event_id":"a","type":"system",')
    const answer = await client.post('/v1/events', { body: `[${text}]`, type: 'application/json' })
    assert.deepEqual(answer.json, [{ event_id: 'b', success: true, error: '' }])
    assert.deepEqual((await client.get('/v1/events/b')).json, user('b'))
  })
}

const ofUser = (more: object): object => ({ ...user('x'), event: { ...user('x').event, ...more } })
const ofSystem = (more: object): object => ({ ...system('x'), event: { ...system('x').event, ...more } })

/** Of every type but text. */
const NO_TEXTS = [7, -0.5, null, [], ['text'], {}, { a: 'text' }, true]

const MEGABYTE = 'x'.repeat(1_000_000)

const BAD: Readonly<Record<string, readonly unknown[]>> = {
  invalid_event_id: ['', ...NO_TEXTS, undefined, '\ud800', '\udc00\ud800'].map((event_id) => ({ ...user('x'), event_id })),
  invalid_type: ['', 'User', 'audit', ...NO_TEXTS, undefined, 'constructor', '__proto__', '\ud800', MEGABYTE].map((type) => ({
    ...user('x'),
    type,
  })),
  invalid_timestamp: [
    '',
    'yesterday',
    1_696_167_900,
    ...NO_TEXTS,
    undefined,
    '\ud800',
    MEGABYTE,
    '2023-13-01T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2023-10-01T24:00:00Z',
    '2023-10-01T13:45:60Z',
    '2016-12-31T23:59:60Z',
    '2023-10-01T13:45:00+25:00',
    '2023-10-01T13:45:00.Z',
    '01.10.2023',
    '0000-01-01T00:00:00+01:00',
    '-0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '9999-12-31T23:59:59-23:59',
    '+12023-10-01T13:45:00Z',
    `2023-10-01T13:45:00.${'0'.repeat(1_000)}Z`,
    new Date(Date.now() + 3_600_000).toISOString(),
  ].map((timestamp) => ({ ...user('x'), timestamp })),
  invalid_email: [
    '',
    'my_user',
    'my_user@',
    '@email.com',
    'my_user@email',
    'my user@email.com',
    'a@b@email.com',
    'my_user@email..com',
    'my_user@-email.com',
    '.my_user@email.com',
    'my..user@email.com',
    'my_user@1.2.3.4',
    'my_user@email.com\n',
    ...NO_TEXTS,
    ['my_user@email.com'],
    '\ud800@email.com',
    `${'x'.repeat(65)}@email.com`,
    `a@${'x'.repeat(64)}.com`,
    `${MEGABYTE}@email.com`,
  ].map((email) => ofUser({ email })),
  invalid_location: ['', 'Europe', 'us ', 'asia', ...NO_TEXTS, ['us'], '\ud800', MEGABYTE].map((location) =>
    ofSystem({ location }),
  ),
  invalid_event: [
    { ...user('x'), event: system('x').event },
    { ...system('x'), event: user('x').event },
    ...[null, undefined, 7, 'text', [], [user('x').event], {}].map((value) => ({ ...user('x'), event: value })),
    ...['username', 'operation'].flatMap((field) =>
      [...NO_TEXTS, undefined, '\udc00'].map((value) => ofUser({ [field]: value })),
    ),
    ...['system_id', 'operation'].flatMap((field) =>
      [...NO_TEXTS, undefined, '\ud800'].map((value) => ofSystem({ [field]: value })),
    ),
    ofUser({ email: undefined }),
    ofUser({ email: 7, username: 7 }),
    ofSystem({ location: undefined }),
    null,
    7,
    'event',
    [],
    [user('x')],
    [[user('x')]],
    {},
  ],
}

const GOOD: readonly Event[] = [
  user('an hour of the year 0', { timestamp: '0000-01-01T00:00:00Z' }),
  user('just now', { timestamp: new Date().toISOString() }),
  user('a\tb\u0000" é 😀'),
  user(' '),
  user('x'.repeat(100_000)),
  user('long', { event: { username: MEGABYTE, email: 'ä.ö+ü@größe.example', operation: '' } }),
  user('more', { event: { ...user('x').event, more: { deep: [[1, [2]]] }, location: 5, operation: '\u0000' } }),
  { ...user('members'), ...{ source: 'web', tags: ['a'], null: null } },
  user('a lone surrogate where nobody looks', { event: { ...user('x').event, more: '\ud800', '\udc00': 1 } }),
  system('us', { event: { ...system('x').event, location: 'us' } }),
]

const TIMES = [
  ['2024-01-01T14:45:10+01:00', '2024-01-01T13:45:10Z'],
  ['2024-01-01T13:45:10Z', '2024-01-01T13:45:10Z'],
  ['2024-01-01T13:45:10', '2024-01-01T13:45:10Z'],
  ['2024-01-01t13:45:10z', '2024-01-01T13:45:10Z'],
  ['2024-01-01 13:45:10.5Z', '2024-01-01T13:45:10.5Z'],
  ['2024-01-01T13:45:10.000Z', '2024-01-01T13:45:10.000Z'],
  ['2024-01-01T13:45:10.123456789-00:30', '2024-01-01T14:15:10.123456789Z'],
  ['2024-02-29T23:59:59.999999-0230', '2024-03-01T02:29:59.999999Z'],
  ['2024-01-01T13:45Z', '2024-01-01T13:45:00Z'],
  ['2024-01-01', '2024-01-01T00:00:00Z'],
  ['0000-01-01T00:00:00.999999-23:00', '0000-01-01T23:00:00.999999Z'],
  ['1600-01-01T00:00:00.1+01:00', '1599-12-31T23:00:00.1Z'],
] as const
