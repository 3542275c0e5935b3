import assert from 'node:assert/strict'
import { after, codes, event, FIRST_100, type Group, LEASE, NOW, newRequest, PLAIN_JOB, QUEUE, range } from './harness.ts'

export const requests: Group = (test) => {
  test('a request is recorded as it came', async ({ storage, submit }) => {
    const wish = {
      source: 'capture',
      sourceIp: '2001:db8::7',
      userAgent: 'curl/8.9',
      method: 'PUT',
      url: '/request?custom_value=emails',
      headers: { 'content-type': 'text/plain', 'x-signature': 'sha256=00ff' },
      contentType: 'text/plain',
      body: '"as it came"',
    } as const
    const id = await submit(wish)
    assert.deepEqual(await storage.requests.find({ ids: [id] }), [
      { id, receivedAt: NOW, ...wish, queue: QUEUE, handled: false },
    ])
  })

  test('a submitted job is pending under the id of its request', async ({ submit, job }) => {
    const id = await submit()
    assert.deepEqual(await job(id), {
      id,
      queue: QUEUE,
      state: 'pending',
      priority: 5,
      createdAt: NOW,
      runAt: NOW,
      startedAt: null,
      finishedAt: null,
      attempt: 0,
      maxAttempts: null,
      fence: 0,
      leaseUntil: null,
      worker: null,
      uniqueKey: null,
      concurrencyKey: null,
      backoff: null,
      timeout: null,
      labels: {},
      statusLabel: null,
      progress: null,
      cancelRequested: false,
      reason: null,
    })
  })

  test('a job has the settings it was submitted with', async ({ submit, job }) => {
    const settings = {
      priority: 0,
      runAt: after(60),
      maxAttempts: 7,
      backoff: { base: 1_500_000, factor: 1.5, max: 60_000_000, jitter: 0.25 },
      uniqueKey: 'invoice-7',
      concurrencyKey: 'customer-7',
      timeout: 90_000_000,
      labels: { customer: '7', kind: 'invoice' },
    }
    const stored = await job(await submit(settings))
    for (const [name, value] of Object.entries(settings)) assert.deepEqual(stored[name as keyof typeof settings], value, name)
  })

  test('a request without a queue makes no job', async ({ storage, trySubmit }) => {
    const [submitted] = await trySubmit([{ queue: null }])
    const { id } = submitted!
    assert.deepEqual(submitted, { id, hasJob: false, outcome: 'created' })
    assert.equal((await storage.requests.find({ ids: [id] }))[0]?.queue, null)
    assert.deepEqual(await storage.jobs.find({ ids: [id] }), [])
    assert.deepEqual((await storage.jobs.list({ filter: {}, page: FIRST_100 })).items, [])
    assert.equal(await storage.jobs.payload({ id }), null)
    assert.deepEqual(await storage.jobs.attempts({ id }), [])
    assert.deepEqual((await storage.queues.list({ page: FIRST_100 })).items, [])
  })

  test('many submitted at once are answered in order, with rising ids', async ({ storage, trySubmit }) => {
    const wishes = range(1, 300).map((n) => ({ body: String(n), queue: n % 3 === 0 ? null : `queue-${n % 3}` }))
    const submitted = await trySubmit(wishes)
    assert.equal(submitted.length, 300)
    for (const [index, { id, hasJob, outcome }] of submitted.entries()) {
      assert.equal(outcome, 'created')
      assert.equal(hasJob, wishes[index]!.queue !== null)
      if (index > 0) assert.ok(id > submitted[index - 1]!.id, 'ids rise')
    }
    const stored = await storage.requests.find({ ids: submitted.map(({ id }) => id) })
    assert.deepEqual(
      stored.map(({ body, queue }) => ({ body, queue })),
      wishes,
    )
  })

  test('an empty batch is answered with an empty one', async ({ storage, trySubmit }) => {
    assert.deepEqual(await trySubmit([]), [])
    assert.deepEqual(await storage.requests.setHandled({ ids: [], handled: true }), [])
    assert.deepEqual(await storage.requests.delete({ now: NOW, ids: [] }), [])
  })

  test('requests submitted concurrently each get an id of their own', async ({ servers, storage }) => {
    const handles = await servers(4)
    const answers = await Promise.all(
      range(0, 79).map((n) => handles[n % 4]!.requests.submit({ now: NOW, items: [newRequest(), newRequest()] })),
    )
    const ids = answers.flat().map(({ id }) => id)
    assert.equal(new Set(ids).size, 160)
    assert.equal((await storage.jobs.find({ ids })).length, 160)
  })

  test('an id is never given again, not even that of a deleted request', async ({ remove, submit }) => {
    const first = await submit()
    await remove(first)
    const second = await submit()
    assert.ok(second > first)
  })

  test('creation times rise with the ids though the clock is stepped back', async ({ storage, submit }) => {
    const ids = [await submit({}, after(10)), await submit({}, after(-3_600)), await submit({}, after(11))]
    const times = (await storage.requests.find({ ids })).map(({ receivedAt }) => receivedAt)
    assert.deepEqual(times, [after(10), after(10), after(11)])
  })

  test('a job submitted after the clock was stepped back can start at once', async ({ submit, claimIds }) => {
    await submit({ queue: 'other' }, after(3_600))
    const id = await submit()
    assert.deepEqual(await claimIds(), [id])
  })

  test('finding keeps the order asked for and leaves out what does not exist', async ({ storage, submitAll }) => {
    const [a, b, c] = (await submitAll([{}, {}, {}])) as [number, number, number]
    const found = await storage.requests.find({ ids: [c, c + 1_000, a, b] })
    assert.deepEqual(
      found.map(({ id }) => id),
      [c, a, b],
    )
    const jobs = await storage.jobs.find({ ids: [c, c + 1_000, a, b] })
    assert.deepEqual(
      jobs.map(({ id }) => id),
      [c, a, b],
    )
  })

  test('a request is marked as handled and as not', async ({ storage, submitAll }) => {
    const ids = await submitAll([{}, { queue: null }])
    const handled = async (): Promise<boolean[]> => (await storage.requests.find({ ids })).map((request) => request.handled)
    assert.deepEqual(codes(await storage.requests.setHandled({ ids, handled: true })), [null, null])
    assert.deepEqual(await handled(), [true, true])
    assert.deepEqual(codes(await storage.requests.setHandled({ ids: [ids[0]!], handled: false })), [null])
    assert.deepEqual(await handled(), [false, true])
  })

  test('marking an unknown request is an error of that item alone', async ({ storage, submit }) => {
    const id = await submit()
    const results = await storage.requests.setHandled({ ids: [id + 1, id], handled: true })
    assert.deepEqual(codes(results), ['request_not_found', null])
    assert.deepEqual(
      results.map((result) => result.id),
      [id + 1, id],
    )
    assert.equal((await storage.requests.find({ ids: [id] }))[0]?.handled, true)
  })

  test('a deleted request takes along all that hangs on it', async (fixture) => {
    const { storage, start, report } = fixture
    const held = await start({ labels: { customer: '7' } })
    await storage.events.append({ now: NOW, items: [{ jobId: held.id, event: event('half way') }] })
    await report(held, { kind: 'completed', result: '"done"', handled: true })
    assert.deepEqual(codes([await fixture.remove(held.id)]), [null])

    const { id } = held
    assert.deepEqual(await storage.requests.find({ ids: [id] }), [])
    assert.deepEqual(await storage.jobs.find({ ids: [id] }), [])
    assert.deepEqual(await storage.jobs.attempts({ id }), [])
    assert.equal(await storage.jobs.payload({ id }), null)
    assert.deepEqual(await storage.results.find({ jobIds: [id] }), [])
    assert.deepEqual(await fixture.messages(id), [])
    assert.deepEqual((await storage.jobs.list({ filter: { label: 'customer' }, page: FIRST_100 })).items, [])
    assert.deepEqual(await fixture.counts(), {})
  })

  test('deleting an unknown request is an error of that item alone', async ({ storage, submitAll }) => {
    const [a, b] = (await submitAll([{}, { queue: null }])) as [number, number]
    const results = await storage.requests.delete({ now: NOW, ids: [a, b + 1, b, a] })
    assert.deepEqual(codes(results), [null, 'request_not_found', null, 'request_not_found'])
    assert.deepEqual(await storage.requests.find({ ids: [a, b] }), [])
  })

  test('a queue comes to be with its first job', async ({ storage, submit }) => {
    await submit({ queue: 'first' }, after(1))
    await submit({ queue: 'first' }, after(2))
    const queues = (await storage.queues.list({ page: FIRST_100 })).items
    assert.deepEqual(
      queues.map(({ name, createdAt, counts }) => ({ name, createdAt, ready: counts.ready })),
      [{ name: 'first', createdAt: after(1), ready: 2 }],
    )
  })

  test('what a job runs with is the body of its request', async ({ storage, submit }) => {
    const id = await submit({ body: '{"to":"ada@example.com"}' })
    assert.equal(await storage.jobs.payload({ id }), '{"to":"ada@example.com"}')
    const { jobs } = await storage.leases.claim({ now: NOW, queue: QUEUE, worker: 'w', limit: 1, lease: LEASE })
    assert.equal(jobs[0]?.payload, '{"to":"ada@example.com"}')
  })

  test('the settings of the jobs of one batch do not mix', async ({ storage, submitAll }) => {
    const ids = await submitAll([{ priority: 1, labels: { a: '1' } }, {}, { maxAttempts: 2 }])
    const jobs = await storage.jobs.find({ ids })
    assert.deepEqual(
      jobs.map(({ priority, labels, maxAttempts }) => ({ priority, labels, maxAttempts })),
      [
        { priority: 1, labels: { a: '1' }, maxAttempts: null },
        { priority: PLAIN_JOB.priority, labels: {}, maxAttempts: null },
        { priority: PLAIN_JOB.priority, labels: {}, maxAttempts: 2 },
      ],
    )
  })
}
