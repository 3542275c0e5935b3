import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiKey, Job, Queue, Worker } from '@octoflow/protocol'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import {
  claim,
  claimOne,
  expectProblem,
  expectStatus,
  finish,
  ids,
  type Listed,
  QUEUE,
  range,
  read,
  readAll,
  start,
  submit,
  submitMany,
} from './native.ts'

const COUNT = 3_000

describe('Of thousands of jobs,', { concurrency: 2 }, () => {
  for (const [order, expected] of [
    ['desc', range(1, COUNT).reverse()],
    ['asc', range(1, COUNT)],
  ] as const) {
    test(`a list read page by page (${order}) gives each once and in order.`, async (t) => {
      const { client } = await startOctoflow(t)
      await submitMany(client, new Array(COUNT).fill({}))
      assert.deepEqual(await ids(client, `/jobs?order=${order}&limit=700`), expected)
    })

    test(`those that stay are listed once (${order}) while others come and go between the pages.`, async (t) => {
      const { client } = await startOctoflow(t)
      await submitMany(client, new Array(COUNT).fill({}))
      let removed = 0
      const seen = await readAll<Job>(client, `/jobs?order=${order}&limit=97`, async (page) => {
        await submitMany(client, new Array(20).fill({}))
        // One that was on this page, and one that is still to come; every seventh id is left alone to be counted.
        const last = page.at(-1)!.id
        for (const id of [last, order === 'asc' ? last + 50 : last - 50])
          if (id % 7 !== 0 && id >= 1 && id <= COUNT) {
            const { status } = await client.delete(`/api/v1/jobs/${id}`)
            if (status === 204) removed++
          }
      })
      assert.ok(removed > 20, 'some were deleted meanwhile')
      const listed = seen.map(({ id }) => id)
      assert.equal(new Set(listed).size, listed.length, 'none is listed twice')
      assert.deepEqual(
        listed,
        listed.toSorted((a, b) => (order === 'asc' ? a - b : b - a)),
      )
      const stayed = expected.filter((id) => id % 7 === 0)
      const found = new Set(listed)
      assert.deepEqual(
        stayed.filter((id) => !found.has(id)),
        [],
        'none that stayed is missing',
      )
      const news = listed.filter((id) => id > COUNT)
      assert.ok(order === 'asc' ? news.length > 0 : news.length === 0, 'what is new comes at the end of asc, and not in desc')
    })
  }
})

test('A cursor outlives the deletion of the item it was taken at.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, new Array(6).fill({}))
  const { items, next } = await read<Listed<Job>>(client, '/jobs?limit=3')
  assert.deepEqual(
    items.map(({ id }) => id),
    [6, 5, 4],
  )
  expectStatus(await client.delete('/api/v1/jobs/4'), 204)
  const second = await read<Listed<Job>>(client, `/jobs?limit=3&cursor=${next}`)
  assert.deepEqual(
    second.items.map(({ id }) => id),
    [3, 2, 1],
  )
})

test('A cursor belongs to its filters, in whatever order they are given.', async (t) => {
  const { client } = await startOctoflow(t)
  await submitMany(client, new Array(4).fill({}))
  const { next } = await read<Listed<Job>>(client, `/jobs?queue=${QUEUE}&state=pending&limit=2`)
  assert.deepEqual(await ids(client, `/jobs?state=pending&limit=2&queue=${QUEUE}&cursor=${next}`), [2, 1])
  expectProblem(await client.get(`/api/v1/jobs?state=pending&cursor=${next}`), 400, 'invalid_cursor')
})

test('An empty list has no next page, and a page that holds just all has none either.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.deepEqual(await read(client, '/jobs'), { items: [], next: null })
  await submitMany(client, [{}, {}])
  const pages: number[] = []
  await readAll<Job>(client, '/jobs?limit=2', async (page) => pages.push(page.length))
  assert.ok(pages.length <= 1)
  assert.deepEqual(await ids(client, '/jobs?limit=2'), [2, 1])
})

test('Jobs are found by queue, state, label, time, request and text, and by all of them together.', async (t) => {
  const { client } = await startOctoflow(t)
  const done = await finish(client, 'completed', { labels: { customer: '42', region: 'eu' } })
  const dead = await finish(client, 'dead', { queue: 'other', labels: { customer: '7' }, payload: { note: '100% Größe_x' } })
  const cancelled = await finish(client, 'cancelled', { queue: 'third' })
  const running = (await start(client, { payload: { note: 'Hello World' } })).id
  const pending = await submit(client, { queue: 'other', labels: { customer: '42' } })
  const { createdAt } = (await read<Listed<Job>>(client, `/jobs?requestId=${cancelled}`)).items[0]!
  const time = encodeURIComponent(createdAt)
  for (const [query, expected] of [
    [`queue=${QUEUE}`, [running, done]],
    [`queue=${QUEUE},third`, [running, cancelled, done]],
    [`queue=${QUEUE}, third ,`, [running, cancelled, done]],
    ['queue=unknown', []],
    ['state=pending', [pending]],
    ['state=running', [running]],
    ['state=completed,dead,cancelled', [cancelled, dead, done]],
    ['label=customer', [pending, dead, done]],
    ['label=customer=42', [pending, done]],
    ['label=custome', []],
    ['label=customer=4', []],
    [`requestId=${dead}`, [dead]],
    ['requestId=999', []],
    [`createdFrom=${time}`, [pending, running, cancelled]],
    [`createdTo=${time}`, [dead, done]],
    [`createdFrom=${time}&createdTo=${time}`, []],
    ['text=hello world', [running]],
    ['text=100%25', [dead]],
    ['text=e_x', [dead]],
    ['text=E_X', [dead]],
    ['text=%25', [dead]],
    ['text=_', [dead]],
    ['queue=other&state=pending,dead&label=customer=42', [pending]],
    [`queue=other&state=dead&createdTo=${time}&text=note`, [dead]],
  ] as const)
    assert.deepEqual(await ids(client, `/jobs?${query.replaceAll(' ', '%20')}`), expected, query)
})

test('A filter by a queue whose name holds a comma is expressed by repeating the parameter.', async (t) => {
  const { client } = await startOctoflow(t)
  const [both, a, b] = await submitMany(client, [{ queue: 'a,b' }, { queue: 'a' }, { queue: 'b' }])
  await finish(client, 'dead', { queue: 'c,d' })
  for (const [query, expected] of [
    ['queue=a,b', [a, b]],
    ['queue=a&queue=b', [a, b]],
    ['queue=a,b&queue=a,b', [both]],
    ['queue=a,b&queue=b', [both, b]],
    ['queue=a,b&queue=', [both]],
    ['queue=a,b&queue=b&state=pending&state=dead', [both, b]],
  ] as const) {
    assert.deepEqual(await ids(client, `/jobs?order=asc&${query}`), expected, query)
    const requests = query.replace(/&state.*/, '')
    assert.deepEqual(await ids(client, `/requests?order=asc&${requests}`), expected, requests)
  }
  assert.equal((await ids(client, '/dead-letters?queue=c,d&queue=c,d')).length, 1)
  const { queues } = await read<{ queues: object }>(client, '/stats?queue=a,b&queue=b')
  assert.deepEqual(Object.keys(queues).sort(), ['a,b', 'b'])
  const { next } = await read<Listed<Job>>(client, '/jobs?queue=a,b&queue=b&limit=1')
  assert.deepEqual(await ids(client, `/jobs?queue=a,b&queue=b&limit=1&cursor=${next}`), [both])
  const tooMany = new Array(101).fill('queue=a').join('&')
  expectProblem(await client.get(`/api/v1/jobs?${tooMany}`), 400, 'invalid_query')
})

test('A filter that cannot be read is 400 and says which one.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [query, path] of [
    ['state=done', 'state'],
    ['createdFrom=yesterday', 'createdFrom'],
    ['createdTo=2026-13-01', 'createdTo'],
    ['requestId=0', 'requestId'],
    ['requestId=x', 'requestId'],
    ['text=', 'text'],
    ['order=up', 'order'],
    ['colour=red', 'colour'],
  ] as const) {
    const { errors } = expectProblem(await client.get(`/api/v1/jobs?${query}`), 400, 'invalid_query')
    assert.deepEqual(
      errors!.map((error) => error.path),
      [path],
      query,
    )
  }
})

test('A rare text among many jobs is found by following the pages, some of which may be empty.', async (t) => {
  const { client } = await startOctoflow(t)
  const needles = [17, 1_500, 2_999]
  await submitMany(
    client,
    range(1, COUNT).map((id) => ({ payload: needles.includes(id) ? 'needle' : 'hay' })),
  )
  assert.deepEqual(await ids(client, '/jobs?text=needle&limit=2'), needles.toReversed())
  assert.deepEqual(await ids(client, '/jobs?text=needle&limit=2&order=asc'), needles)
})

test('A key with a queue scope is shown its queues’ jobs alone; the others are 404 to every call.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'operator', queues: ['mine', 'empty'] })
  const mine = await submit(client, { queue: 'mine' })
  const theirs = await submit(client, { queue: 'theirs' })
  const dead = await finish(client, 'dead', { queue: 'theirs2' })
  const idsOf = async (path: string): Promise<number[]> =>
    (await read<Listed<Job>>(client, path, { key })).items.map(({ id }) => id)
  assert.deepEqual(await idsOf('/jobs'), [mine])
  for (const path of ['/jobs?queue=theirs', `/jobs?requestId=${theirs}`, '/jobs?queue=empty', '/dead-letters'])
    assert.deepEqual(await idsOf(path), [], path)
  assert.deepEqual(await idsOf('/jobs?queue=theirs,mine'), [mine])
  assert.deepEqual(await idsOf('/requests'), [mine])
  expectStatus(await client.get(`/api/v1/jobs/${mine}`, { key }), 200)
  for (const [method, path, json] of [
    ['GET', '', undefined],
    ['GET', '/timeline', undefined],
    ['GET', '/waiting', undefined],
    ['GET', '/events', undefined],
    ['POST', '/events', { message: 'x' }],
    ['POST', '/cancel', {}],
    ['POST', '/retry', {}],
    ['PATCH', '', { priority: 1 }],
    ['DELETE', '', undefined],
  ] as const) {
    const call = { key, ...(json !== undefined && { json }) }
    expectProblem(await client.call(method, `/api/v1/jobs/${theirs}${path}`, call), 404, 'job_not_found')
  }
  expectProblem(await client.get(`/api/v1/requests/${theirs}`, { key }), 404, 'request_not_found')
  expectProblem(await client.get(`/api/v1/dead-letters/${dead}`, { key }), 404, 'dead_letter_not_found')
  expectProblem(await client.post(`/api/v1/dead-letters/${dead}/replay`, { key }), 404, 'dead_letter_not_found')
  assert.equal((await claimOne(client, { queue: 'theirs' })).id, theirs, 'it is as it was')
})

test('Of thousands of queues each is listed once, in order of name, fifty to a page unless more are asked for.', async (t) => {
  const { client } = await startOctoflow(t)
  const names = range(1, 2_500).map((n) => `queue ${n}, é.${n % 7}`)
  await submitMany(
    client,
    names.map((queue) => ({ queue })),
  )
  const listed = async (query: string): Promise<string[]> =>
    (await readAll<Queue>(client, `/queues${query}`)).map(({ name }) => name)
  assert.deepEqual(await listed('?limit=1000'), names.toSorted())
  assert.deepEqual(await listed('?order=desc&limit=999'), names.toSorted().reverse())
  const first = await read<Listed<Queue>>(client, '/queues')
  assert.equal(first.items.length, 50)
  expectProblem(await client.get(`/api/v1/queues?order=desc&cursor=${first.next}`), 400, 'invalid_cursor')
  expectProblem(await client.get(`/api/v1/workers?cursor=${first.next}`), 400, 'invalid_cursor')
  const key = await createKey(client, { role: 'viewer', queues: names.slice(0, 100).toReversed() })
  const own = await readAll<Queue>(client, '/queues?limit=30', undefined, { key })
  assert.deepEqual(
    own.map(({ name }) => name),
    names.slice(0, 100).sort(),
  )
})

test('Workers are listed page by page in order of id, keys in that of their making, the newest first.', async (t) => {
  const { client } = await startOctoflow(t)
  const workers = range(1, 7).map((n) => `w-${n}`)
  for (const workerId of workers.toReversed()) await claim(client, { workerId })
  const found = await readAll<Worker>(client, '/workers?limit=3')
  assert.deepEqual(
    found.map(({ id }) => id),
    workers,
  )
  for (const name of workers) {
    await createKey(client, { name, role: 'viewer' })
    // Two keys of the same millisecond are in no particular order.
    const made = Date.now()
    await until(() => Date.now() > made, { what: 'the next millisecond', everyMs: 1 })
  }
  const keys = await readAll<ApiKey>(client, '/keys?limit=3')
  assert.deepEqual(
    keys.map(({ name }) => name),
    workers.toReversed(),
  )
})
