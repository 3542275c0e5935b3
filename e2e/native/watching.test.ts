import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttentionItem, Stats, StatsSums } from '@octoflow/protocol'
import type { Client } from '../support/client.ts'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { KEY } from '../support/server-process.ts'
import {
  claim,
  claimOne,
  configure,
  detail,
  expectProblem,
  expectStatus,
  finish,
  QUEUE,
  read,
  report,
  start,
  submit,
} from './native.ts'

const MINUTE_MS = 60_000

const counts = ({ meanWaitSeconds: _, meanRunSeconds: __, ...sums }: StatsSums) => sums

test('Statistics count what happened, in all, by queue and by step of time.', async (t) => {
  const { client } = await startOctoflow(t)
  await finish(client, 'completed')
  await finish(client, 'cancelled')
  await finish(client, 'dead', { queue: 'other' })
  const failing = await start(client)
  await report(client, failing, { outcome: 'failed', error: 'x' })
  const expiring = await start(client, { queue: 'third' }, { leaseSeconds: 1 })
  assert.equal((await claimOne(client, { queue: 'third', waitSeconds: 30 })).id, expiring.id)
  const stats = await read<Stats>(client, '/stats')
  assert.equal(Date.parse(stats.to) - Date.parse(stats.from), 60 * MINUTE_MS)
  assert.equal(stats.stepSeconds, 60)
  assert.ok(Date.parse(stats.to) > Date.now() && Date.parse(stats.to) % MINUTE_MS === 0)
  assert.deepEqual(
    stats.points.map(({ at }) => Date.parse(at)),
    Array.from({ length: 60 }, (_, index) => Date.parse(stats.from) + index * MINUTE_MS),
  )
  const { total, queues } = stats
  assert.deepEqual(counts(total), { submitted: 5, started: 6, completed: 1, failed: 2, dead: 1, cancelled: 1, expired: 1 })
  assert.deepEqual(Object.keys(queues).sort(), [QUEUE, 'other', 'third'].sort())
  assert.deepEqual(counts(queues.other!), {
    submitted: 1,
    started: 1,
    completed: 0,
    failed: 0,
    dead: 1,
    cancelled: 0,
    expired: 0,
  })
  for (const field of ['submitted', 'started', 'completed', 'failed', 'dead', 'cancelled', 'expired'] as const)
    assert.equal(
      stats.points.reduce((sum, point) => sum + point[field], 0),
      total[field],
      field,
    )
  assert.ok(total.meanWaitSeconds! >= 0 && total.meanWaitSeconds! < 5, String(total.meanWaitSeconds))
  assert.ok(total.meanRunSeconds! >= 0 && total.meanRunSeconds! < 5, String(total.meanRunSeconds))
})

test('Window and step of the statistics are the caller’s choice; a step too fine for the window is widened.', async (t) => {
  const { client } = await startOctoflow(t)
  const { createdAt } = await detail(client, await submit(client))
  for (const [query, step, points] of [
    ['window=60', 60, 1],
    ['window=600&step=120', 120, 5],
    ['window=90', 60, 2],
    ['window=86400&step=3600', 3_600, 24],
    ['window=60&step=3600', 3_600, 1],
    ['window=604800&step=60', 420, 1_440],
    ['window=604860&step=900', 3_600, 169],
    ['window=31622400&step=60', 21_600, 1_464],
  ] as const) {
    const stats = await read<Stats>(client, `/stats?${query}`)
    assert.deepEqual([stats.stepSeconds, stats.points.length], [step, points], query)
    // A minute may have passed meanwhile.
    const submitted = Date.parse(createdAt) >= Date.parse(stats.from) ? 1 : 0
    assert.equal(stats.total.submitted, submitted, query)
    assert.equal(
      stats.points.findLast((point) => Date.parse(point.at) <= Date.parse(createdAt))?.submitted ?? 0,
      submitted,
      query,
    )
  }
  for (const query of ['window=59', 'step=61', 'step=30', 'window=1e9', 'window=x', 'from=2026-01-01'])
    expectProblem(await client.get(`/api/v1/stats?${query}`), 400, 'invalid_query')
})

test('Statistics of some queues are those of no others; a key’s scope limits them all the same.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const queue of ['mine', 'mine', 'theirs', 'third']) await submit(client, { queue })
  const key = await createKey(client, { role: 'viewer', queues: ['mine', 'empty'] })
  for (const [query, own, submitted] of [
    ['', KEY, 4],
    ['?queue=mine', KEY, 2],
    ['?queue=mine,third', KEY, 3],
    ['?queue=none', KEY, 0],
    ['', key, 2],
    ['?queue=mine,theirs', key, 2],
    ['?queue=theirs', key, 0],
  ] as const) {
    const { total, points } = await read<Stats>(client, `/stats${query}`, { key: own })
    assert.deepEqual([total.submitted, points.reduce((sum, point) => sum + point.submitted, 0)], [submitted, submitted], query)
  }
})

const attention = async (client: Client, key = KEY): Promise<AttentionItem[]> =>
  (await read<{ items: AttentionItem[] }>(client, '/attention', { key })).items.filter(({ code }) => code !== 'disk_low')

test('Nothing needs a look where all is well.', async (t) => {
  const { client } = await startOctoflow(t)
  await finish(client, 'completed')
  await submit(client)
  await submit(client, { queue: 'later', delaySeconds: 600 })
  assert.deepEqual(await attention(client), [])
})

test('Dead letters, a backlog without a worker, one behind a pause, and a queue that fails need a look.', async (t) => {
  const { client } = await startOctoflow(t)
  await finish(client, 'dead', { queue: 'dying' })
  await submit(client, { queue: 'alone' })
  await submit(client, { queue: 'alone' })
  await configure(client, { paused: true }, 'paused')
  await submit(client, { queue: 'paused' })
  for (let n = 0; n < 12; n++)
    await report(client, await start(client, { queue: 'failing', maxAttempts: 1 }), {
      outcome: n % 2 === 0 ? 'failed' : 'completed',
    })
  const items = (await attention(client)).map(({ code, severity, queue, count }) => [code, severity, queue, count])
  assert.deepEqual(items.sort(), [
    ['dead_letters', 'warning', 'dying', 1],
    ['dead_letters', 'warning', 'failing', 6],
    ['no_worker', 'warning', 'alone', 2],
    ['paused_with_backlog', 'info', 'paused', 1],
    ['queue_failing', 'warning', 'failing', 6],
  ])
  const severities = (await attention(client)).map(({ severity }) => severity)
  assert.equal(severities.at(-1), 'info', 'the gravest come first')
  for (const { message, hint, queue } of await attention(client)) {
    assert.ok(message.includes(`"${queue}"`), message)
    assert.ok(hint.length > 20)
  }
  const key = await createKey(client, { role: 'viewer', queues: ['alone'] })
  assert.deepEqual(
    (await attention(client, key)).map(({ queue }) => queue),
    ['alone'],
  )
})

test('Of many queues figures and what needs a look come in pages.', async (t) => {
  const { client } = await startOctoflow(t)
  const names = ['a', 'b,b', 'c', 'd', 'e']
  for (const queue of names) await submit(client, { queue })
  for (const limit of [1, 2, 5]) {
    const counted: string[] = []
    const looked: string[] = []
    await everyPage<Stats>(client, '/stats', limit, ({ queues, total }) => {
      assert.ok(Object.keys(queues).length <= limit)
      assert.equal(total.submitted, names.length, 'the total is that of all')
      counted.push(...Object.keys(queues))
    })
    await everyPage<{ items: AttentionItem[]; next: string | null }>(client, '/attention', limit, ({ items }) => {
      assert.ok(items.length <= limit)
      looked.push(...items.flatMap(({ queue }) => queue ?? []))
    })
    assert.deepEqual([counted, looked], [names, names], `pages of ${limit}`)
  }
  for (const path of ['/api/v1/stats', '/api/v1/attention'])
    expectProblem(await client.get(`${path}?cursor=x`), 400, 'invalid_cursor')
})

async function everyPage<Page extends { readonly next: string | null }>(
  client: Client,
  path: string,
  limit: number,
  take: (page: Page) => void,
): Promise<void> {
  let next: string | null = null
  do {
    const page: Page = await read<Page>(client, `${path}?limit=${limit}${next === null ? '' : `&cursor=${next}`}`)
    take(page)
    next = page.next
  } while (next !== null)
}

test('What was seen to needs no look any more.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await finish(client, 'dead')
  assert.deepEqual(
    (await attention(client)).map(({ code }) => code),
    ['dead_letters'],
  )
  expectStatus(await client.post(`/api/v1/dead-letters/${id}/replay`), 200)
  assert.deepEqual(await attention(client), [])
  assert.equal((await claim(client)).length, 1)
})

test('GET /me says who one is, whatever the credential.', async (t) => {
  const { client } = await startOctoflow(t)
  const version = (await client.get('/openapi.json')).json as { info: { version: string } }
  assert.deepEqual(await read(client, '/me'), {
    name: 'static key',
    role: 'admin',
    queues: null,
    server: { version: version.info.version },
  })
  const key = await createKey(client, { role: 'viewer', queues: ['a'], name: 'dash' })
  const me = await read<{ name: string; role: string; queues: string[] }>(client, '/me', { key })
  assert.match(me.name, /^key dash \(\w+\)$/)
  assert.deepEqual([me.role, me.queues], ['viewer', ['a']])
})
