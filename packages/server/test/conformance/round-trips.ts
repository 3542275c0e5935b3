import assert from 'node:assert/strict'
import { MAX_INSTANT } from '../../src/lib/time.ts'
import { after, completed, event, FIRST_100, type Group, LEASE, NOW, range } from './harness.ts'

/** Texts that something on the way to a disk has been known to change. */
const TEXTS: Readonly<Record<string, string>> = {
  'plain text': 'hello',
  'an empty text': '',
  'quotes and backslashes': `' " \\ \\\\ \`; DROP TABLE jobs; --`,
  'line breaks and tabs': 'a\r\nb\tc\n',
  'spaces at both ends': '  both  ',
  accents: 'Grüße, Ångström, naïve',
  'accents in two forms': 'é e\u0301',
  'right to left': 'שלום مرحبا',
  'astral characters': '🐙🏳️‍🌈𝒳',
  'a NUL': 'a\u0000b',
  'other control characters': '\u0001\u001b\u007f\u0085\u2028\ufeff',
  'what looks like a number': '007',
  'what looks like JSON': '{"a":null}',
  'LIKE’s wildcards': '%_[a]',
}

export const roundTrips: Group = (test) => {
  for (const [title, text] of Object.entries(TEXTS)) {
    test(`${title} may stand in every text of a request and its job`, async (fixture) => {
      const { storage, submit, claimOne, job, report } = fixture
      const name = text === '' ? 'x' : text
      const wish = {
        queue: `q${name}`,
        sourceIp: text,
        userAgent: text,
        method: name,
        url: text,
        headers: { [name]: text },
        contentType: text,
        body: JSON.stringify({ [text]: text }),
        uniqueKey: name,
        concurrencyKey: name,
        labels: { [name.replaceAll('=', '-')]: text },
      }
      const id = await submit(wish)
      const [request] = await storage.requests.find({ ids: [id] })
      for (const field of ['queue', 'sourceIp', 'userAgent', 'method', 'url', 'headers', 'contentType', 'body'] as const)
        assert.deepEqual(request?.[field], wish[field], field)
      const stored = await job(id)
      for (const field of ['queue', 'uniqueKey', 'concurrencyKey', 'labels'] as const)
        assert.deepEqual(stored[field], wish[field], field)
      const [label] = Object.entries(wish.labels)
      const filter = { label: `${label![0]}=${label![1]}` }
      assert.equal((await storage.jobs.list({ filter, page: FIRST_100 })).items.length, 1)

      const held = await claimOne({ queue: wish.queue, worker: text })
      assert.equal(held.payload, wish.body)
      assert.deepEqual(
        [held.request.url, held.request.headers, held.concurrencyKey, held.labels],
        [text, wish.headers, name, wish.labels],
      )
      assert.equal((await job(id)).worker, text)
      await storage.leases.heartbeat({
        now: NOW,
        beats: [{ ...held, lease: LEASE, progress: { fraction: 0.5, message: text } }],
      })
      await storage.jobs.label({ id, label: text })
      const { progress, statusLabel } = await job(id)
      assert.deepEqual([progress?.message, statusLabel], [text, text])
      await report(held, completed({ [text]: text }), { events: [event(text, { data: JSON.stringify(text) })] })
      assert.equal((await storage.results.find({ jobIds: [id] }))[0]?.value, wish.body)
      const [said] = (await storage.events.list({ jobId: id, page: FIRST_100 })).items
      assert.deepEqual([said?.message, said?.data], [text, JSON.stringify(text)])
      assert.deepEqual((await storage.queues.find({ names: [wish.queue] }))[0]?.name, wish.queue)
    })
  }

  test('texts survive in errors, reasons and notes too', async ({
    storage,
    start,
    report,
    job,
    finish,
    messages,
    claimOne,
  }) => {
    const text = Object.values(TEXTS).join('|')
    const failing = await start({ backoff: { base: 0, factor: 1, max: 0, jitter: 0 } })
    const error = { message: text, code: text, detail: text }
    await report(failing, { kind: 'failed', error, random: 0.5 })
    assert.deepEqual((await storage.jobs.attempts({ id: failing.id }))[0]?.error, error)
    await report(await claimOne(), { kind: 'discarded', reason: text, error: { message: 'm', code: null, detail: null } })
    assert.equal((await job(failing.id)).reason, text)
    assert.deepEqual((await storage.jobs.attempts({ id: failing.id }))[1]?.error, { message: 'm', code: null, detail: null })
    const dead = await finish('dead')
    await storage.jobs.retry({ now: NOW, items: [{ id: dead, payload: null, queue: null }], note: text })
    assert.deepEqual(await messages(dead), [text])
  })

  test('keys that differ only in case, accents or spaces are different keys', async ({
    submit,
    trySubmit,
    claimIds,
    submitAll,
  }) => {
    const keys = ['key', 'Key', 'kéy', 'ke\u0301y', 'key ', ' key', 'key\u0000', 'key\u0000a']
    for (const uniqueKey of keys) await submit({ uniqueKey })
    for (const uniqueKey of keys) assert.equal((await trySubmit([{ uniqueKey }]))[0]?.outcome, 'existing')
    const ids = await submitAll(keys.map((concurrencyKey) => ({ queue: 'keyed', concurrencyKey })))
    assert.deepEqual(await claimIds({ queue: 'keyed', limit: 100 }), ids)
    for (const queue of keys) await submit({ queue })
    for (const queue of keys) assert.equal((await claimIds({ queue, limit: 100 })).length, 1)
    for (const key of keys)
      assert.equal((await trySubmit([{ idempotency: { key, fingerprint: 'a', expiresAt: after(60) } }]))[0]?.outcome, 'created')
  })

  test('keys and names may be 256 characters long, astral ones too', async ({ storage, submit, trySubmit, claimOne, job }) => {
    for (const long of ['x'.repeat(256), '🐙'.repeat(128), 'ﷺ'.repeat(256)]) {
      const wish = { queue: long, uniqueKey: long, concurrencyKey: long, labels: { ['l'.repeat(64)]: long } }
      const id = await submit({ ...wish, idempotency: { key: long, fingerprint: long, expiresAt: after(60) } })
      assert.equal((await trySubmit([wish]))[0]?.id, id)
      const stored = await job(id)
      assert.deepEqual([stored.queue, stored.uniqueKey, stored.concurrencyKey, stored.labels], Object.values(wish))
      assert.equal((await claimOne({ queue: long, worker: long })).id, id)
      await storage.workers.seen({ workers: [{ id: long, at: NOW, queues: [long], agent: long }] })
    }
    assert.equal((await storage.workers.list({ since: 0 })).length, 3)
  })

  test('a payload of more than a mebibyte comes back byte for byte, as do result and event', async ({
    storage,
    submit,
    claimOne,
    report,
  }) => {
    const body = JSON.stringify('0123456789abcdé🐙'.repeat(2 ** 16))
    const id = await submit({ body })
    assert.equal((await storage.requests.find({ ids: [id] }))[0]?.body, body)
    const held = await claimOne()
    assert.equal(held.payload, body)
    await report(held, { kind: 'completed', result: body, handled: false }, { events: [event(body, { data: body })] })
    assert.equal((await storage.results.find({ jobIds: [id] }))[0]?.value, body)
    assert.equal((await storage.events.list({ jobId: id, page: FIRST_100 })).items[0]?.data, body)
  })

  test('bodies of every length come back as they were', async ({ storage, submitAll, claim }) => {
    const bodies = range(0, 300).map((length) => JSON.stringify('x'.repeat(length)))
    const wishes = bodies.map((body, index) => ({ body, headers: index % 2 === 0 ? null : { 'x-a': 'b' } }))
    const ids = await submitAll(wishes)
    const requests = await storage.requests.find({ ids })
    assert.deepEqual(
      requests.map(({ body, headers }) => ({ body, headers: Object.keys(headers).length })),
      wishes.map(({ body, headers }) => ({ body, headers: headers === null ? 0 : 1 })),
    )
    const { jobs } = await claim({ limit: 1_000 })
    assert.deepEqual(
      jobs.map(({ payload, request }) => [payload, request.headers]),
      wishes.map(({ body, headers }) => [body, headers ?? {}]),
    )
  })

  test('JSON is kept as it was written, whatever it is', async ({ storage, submitAll }) => {
    const bodies = [
      'null',
      'true',
      '0',
      '-0.0',
      '""',
      '[]',
      '{}',
      ' { "a" : 1 ,\n "a":2 } ',
      '12345678901234567890123',
      '1e400',
      '"\\u0000\\ud83d"',
      '[[[[]]]]',
    ]
    const ids = await submitAll(bodies.map((body) => ({ body })))
    assert.deepEqual(
      (await storage.requests.find({ ids })).map(({ body }) => body),
      bodies,
    )
    for (const [index, id] of ids.entries()) assert.equal(await storage.jobs.payload({ id }), bodies[index])
  })

  test('labels may be named like what every object has', async ({ storage, submit, job }) => {
    const labels = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}')
    const id = await submit({ labels })
    assert.deepEqual(Object.entries((await job(id)).labels).sort(), Object.entries(labels).sort())
    assert.equal((await storage.jobs.list({ filter: { label: '__proto__=a' }, page: FIRST_100 })).items.length, 1)
  })

  test('times keep their microseconds', async ({ storage, submit, claimOne, report, job }) => {
    const times = [1, 999, 1_000, 1_001, 999_999, 1_000_001].map((microseconds) => NOW + microseconds)
    for (const at of times) {
      const id = await submit({ runAt: at }, at)
      const stored = await job(id)
      assert.deepEqual([stored.createdAt, stored.runAt], [at, at])
      const held = await claimOne({ now: at, lease: 1 })
      assert.equal(held.leaseUntil, at + 1)
      await report(held, completed(1), { now: at, events: [event('said')] })
      assert.deepEqual([(await job(id)).startedAt, (await job(id)).finishedAt], [at, at])
      assert.equal((await storage.results.find({ jobIds: [id] }))[0]?.at, at)
      assert.equal((await storage.events.list({ jobId: id, page: FIRST_100 })).items[0]?.at, at)
    }
  })

  test('the first and the last instant are instants like others', async ({ storage, submitAll, job, claim, claimIds }) => {
    const [last, first] = (await submitAll([{ runAt: MAX_INSTANT }, { runAt: -MAX_INSTANT }])) as [number, number]
    assert.deepEqual([(await job(last)).runAt, (await job(first)).runAt], [MAX_INSTANT, -MAX_INSTANT])
    assert.deepEqual(await claimIds(), [first])
    assert.equal((await claim()).nextAt, MAX_INSTANT)
    assert.equal(
      (await storage.jobs.list({ filter: { createdFrom: -MAX_INSTANT, createdTo: MAX_INSTANT }, page: FIRST_100 })).items
        .length,
      2,
    )
  })

  test('numbers at their limits come back as they were', async ({ submit, job, claimOne }) => {
    const settings = {
      priority: 9,
      maxAttempts: 1_000,
      timeout: 31_536_000_000_000,
      backoff: { base: 0, factor: 9.999, max: 2_592_000_000_000, jitter: 0.333 },
    }
    const stored = await job(await submit(settings))
    for (const [name, value] of Object.entries(settings)) assert.deepEqual(stored[name as keyof typeof settings], value)
    assert.deepEqual((await claimOne()).timeout, settings.timeout)
  })

  test('all that is stored is there after a restart', async (fixture) => {
    const { storage, opened, submit, start, report, finish, configure } = fixture
    if (opened.reopen === undefined) return
    await configure({ keyConcurrency: 2 })
    const ids = [await finish('completed'), await finish('dead'), (await start({ concurrencyKey: 'k' })).id]
    ids.push(await submit({ concurrencyKey: 'k', runAt: after(60), labels: { a: 'b' } }))
    const held = await start()
    await report(held, completed('kept'), { events: [event('said')] })
    const read = async (from: typeof storage) => ({
      jobs: await from.jobs.find({ ids: [...ids, held.id] }),
      requests: await from.requests.find({ ids }),
      queues: (await from.queues.list({ page: FIRST_100 })).items,
      attempts: await Promise.all(ids.map((id) => from.jobs.attempts({ id }))),
      result: await from.results.find({ jobIds: [held.id] }),
      events: await from.events.list({ jobId: held.id, page: FIRST_100 }),
      stats: await from.stats.totals({ queues: null, from: 0, to: after(3_600) }),
    })
    const before = await read(storage)
    assert.deepEqual(await read(await opened.reopen()), before)
  })
}
