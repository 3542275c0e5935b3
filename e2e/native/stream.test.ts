import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { whenDone } from '../support/owner.ts'
import { requestHead } from '../support/raw-connection.ts'
import { until } from '../support/until.ts'
import { LiveUpdates } from './live-updates.ts'
import { claimOne, expectStatus, finish, QUEUE, range, report, start, submit, submitMany } from './native.ts'

const NO_BACKOFF = { baseSeconds: 0, factor: 1, maxSeconds: 0, jitter: 0 }

test('Every change of a job’s state is told as it happens, in order.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const updates = await LiveUpdates.open(t, server.url)
  const held = await start(client, { backoff: NO_BACKOFF })
  await report(client, held, { outcome: 'failed', error: 'x' })
  await report(client, await claimOne(client), { outcome: 'completed' })
  expectStatus(await client.post('/api/v1/jobs/1/retry'), 200)
  expectStatus(await client.post('/api/v1/jobs/1/cancel'), 200)
  await updates.until((all) => all.length === 7, 'all has been told')
  assert.deepEqual(updates.changes, [
    '1 pending',
    '1 running',
    '1 pending',
    '1 running',
    '1 completed',
    '1 pending',
    '1 cancelled',
  ])
  const [first] = updates.all
  assert.equal(first!.data.queue, QUEUE)
  assert.ok(Math.abs(Date.parse(first!.data.at) - Date.now()) < 10_000)
  assert.equal(new Set(updates.all.map(({ id }) => id)).size, 7, 'each has an id of its own')
})

test('What an operation does and what is taken back from a vanished worker is told, too.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const updates = await LiveUpdates.open(t, server.url)
  await submit(client)
  expectStatus(await client.post('/api/v1/operations', { json: { action: 'cancel', filter: {} } }), 202)
  await updates.until((all) => all.length === 2, 'the cancel is told')
  await submit(client)
  const claim = { workerId: 'vanishes', limit: 1, leaseSeconds: 1 }
  expectStatus(await client.post(`/api/v1/queues/${QUEUE}/claim`, { json: claim }), 200)
  await updates.until((all) => all.length === 5, 'the end of the lease is told')
  assert.deepEqual(updates.changes, ['1 pending', '1 cancelled', '2 pending', '2 running', '2 pending'])
})

test('Who comes back with Last-Event-ID is told first what was missed.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const before = await LiveUpdates.open(t, server.url)
  await submit(client)
  await before.until((all) => all.length === 1, 'the first is told')
  before.close()
  await submitMany(client, new Array(50).fill({}))
  const after = await LiveUpdates.open(t, server.url, { lastId: before.all[0]!.id! })
  await submit(client)
  await after.until((all) => all.length === 51, 'all that was missed, and the latest, is told')
  assert.deepEqual(
    after.changes,
    range(2, 52).map((id) => `${id} pending`),
  )
})

test('Who was told nothing before the connection was lost misses nothing either.', async (t) => {
  const { client, server } = await startOctoflow(t)
  await submit(client)
  const before = await LiveUpdates.open(t, server.url)
  await until(() => before.lastId !== null, { what: 'the stream has begun' })
  before.close()
  await submit(client)
  const after = await LiveUpdates.open(t, server.url, { lastId: before.lastId! })
  await after.until((all) => all.length === 1, 'what was missed is told')
  assert.deepEqual(after.changes, ['2 pending'])
})

test('Who comes back after a restart is told that updates were missed.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const before = await LiveUpdates.open(t, server.url)
  await submit(client)
  await before.until((all) => all.length === 1, 'the first is told')
  await server.stop()
  await before.end()
  const { client: again, server: restarted } = await startOctoflow(t, { data: server.data })
  const after = await LiveUpdates.open(t, restarted.url, { lastId: before.all[0]!.id! })
  await submit(again)
  await after.until((all) => all.length === 2, 'the reset and the next are told')
  assert.deepEqual(
    after.all.map(({ event }) => event),
    ['reset', 'job'],
  )
})

test('A key with a queue scope is told of its queues alone, also of what it missed.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const key = await createKey(client, { role: 'viewer', queues: ['mine'] })
  const updates = await LiveUpdates.open(t, server.url, { key })
  await submitMany(client, [{ queue: 'theirs' }, { queue: 'mine' }, { queue: 'theirs' }, { queue: 'mine' }])
  await updates.until((all) => all.length === 2, 'both are told')
  assert.deepEqual(updates.changes, ['2 pending', '4 pending'])
  const again = await LiveUpdates.open(t, server.url, { key, lastId: updates.all[0]!.id! })
  await again.until((all) => all.length === 1, 'the missed one is told')
  await submitMany(client, [{ queue: 'theirs' }, { queue: 'mine' }])
  await again.until((all) => all.length === 2, 'the next is told')
  assert.deepEqual(again.changes, ['4 pending', '6 pending'])
})

test('A hundred clients are all told everything.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const clients = await Promise.all(range(1, 100).map(() => LiveUpdates.open(t, server.url)))
  await submitMany(client, new Array(200).fill({}))
  const expected = range(1, 200).map((id) => `${id} pending`)
  for (const updates of clients) {
    await updates.until((all) => all.length >= 200, 'all is told')
    assert.deepEqual(updates.changes, expected)
  }
})

test('A client that does not read holds up nobody; when it reads on, it is told what it missed or that it missed something.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const slow = connect({ host: '127.0.0.1', port: server.port })
  whenDone(t, () => {
    slow.destroy()
  })
  slow.pause()
  slow.write(requestHead('GET', '/api/v1/stream'))
  const quick = await LiveUpdates.open(t, server.url)
  const count = 80_000
  for (let sent = 0; sent < count; sent += 5_000) await submitMany(client, new Array(5_000).fill({}))
  await quick.until((all) => all.length === count, 'the quick client is told of all')
  assert.equal(quick.changes.at(-1), `${count} pending`)

  let text = ''
  slow.setEncoding('latin1').on('data', (part: string) => {
    text += part
  })
  slow.resume()
  await until(() => text.includes('event: reset') || text.includes(`"id":${count},`), {
    what: 'the slow client has caught up',
    withinSeconds: 30,
  })
  const last = await submit(client)
  await until(() => text.includes(`"id":${last},`), { what: 'the slow client is told of what comes now', withinSeconds: 30 })
  const told = [...text.matchAll(/"id":(\d+),|event: (reset)/g)].map(([, id, reset]) =>
    reset === undefined ? Number(id) : reset,
  )
  for (const [index, id] of told.entries()) {
    const before = told[index - 1]
    if (typeof id === 'number' && typeof before === 'number') assert.equal(id, before + 1, 'nothing is left out unsaid')
  }
  assert.ok(told.includes('reset'), 'so much cannot have waited for it')
})

test('When a key becomes void, its stream ends at once; others come back and miss nothing.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const key = await createKey(client, { role: 'viewer' })
  const updates = await LiveUpdates.open(t, server.url, { key })
  const own = await LiveUpdates.open(t, server.url)
  await submit(client)
  await own.until((all) => all.length === 1, 'the first is told')
  const { items } = (await client.get('/api/v1/keys')).json as { items: [{ id: string }] }
  expectStatus(await client.delete(`/api/v1/keys/${items[0].id}`), 204)
  await Promise.all([updates.end(), own.end()])
  await submit(client)
  const again = await LiveUpdates.open(t, server.url, { lastId: own.all[0]!.id! })
  await again.until((all) => all.length === 1, 'the missed one is told')
  assert.deepEqual(again.changes, ['2 pending'])
})

test('When the server stops, the streams end and hold up nothing.', async (t) => {
  const { server } = await startOctoflow(t)
  const clients = await Promise.all(range(1, 20).map(() => LiveUpdates.open(t, server.url)))
  const begun = performance.now()
  const { code } = await server.stop()
  assert.ok(performance.now() - begun < 15_000)
  assert.equal(code, 0)
  await Promise.all(clients.map((updates) => updates.end()))
})

test('Whoever only asks what there is gets no stream.', async (t) => {
  const { client } = await startOctoflow(t)
  await finish(client, 'completed')
  const answer = await client.call('HEAD', '/api/v1/stream')
  assert.notEqual(answer.status, 200)
})
