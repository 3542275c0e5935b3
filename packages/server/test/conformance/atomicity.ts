import assert from 'node:assert/strict'
import { after, COMPLETED, codes, event, FAILED, FIRST_100, type Group, NOW, newRequest, range } from './harness.ts'

export const atomicity: Group = (test) => {
  test('verbs asked for at once are each answered for themselves, failing ones too', async ({ storage, counts, configure }) => {
    await configure({ concurrency: 5 })
    const submit = () => storage.requests.submit({ now: NOW, items: [newRequest()] })
    const answers = await Promise.allSettled([
      submit(),
      storage.operations.abort({ now: NOW, id: 7 }),
      submit(),
      storage.access.delete({ now: NOW, id: 'k_7' }),
      storage.queues.configure({ now: NOW, name: 'never', change: {}, ifVersion: 7 }),
      submit(),
    ])
    assert.deepEqual(
      answers.map((answer) => (answer.status === 'fulfilled' ? 'served' : answer.reason.code)),
      ['served', 'operation_not_found', 'served', 'key_not_found', 'precondition_failed', 'served'],
    )
    assert.deepEqual(await counts(), { ready: 3 })
    assert.equal((await storage.queues.list({ page: FIRST_100 })).items.length, 1, 'a failed verb leaves nothing behind')
  })

  test('a verb that rejects has stored nothing of it', async ({ storage, counts, submit }) => {
    const id = await submit()
    // A fault of the caller's, which no driver can serve: the item in the middle has a queue but no settings for a job.
    const items = [newRequest(), { ...newRequest(), job: null }, newRequest()]
    await assert.rejects(storage.requests.submit({ now: NOW, items }))
    assert.deepEqual(await counts(), { ready: 1 })
    const { items: listed } = await storage.requests.list({ filter: {}, page: FIRST_100 })
    assert.deepEqual(
      listed.map((request) => request.id),
      [id],
    )
  })

  test('a write is there for whoever reads once it was acknowledged', async ({ servers }) => {
    const handles = await servers(3)
    for (const n of range(0, 8)) {
      const [submitted] = await handles[n % 3]!.requests.submit({ now: NOW, items: [newRequest()] })
      for (const handle of handles) assert.equal((await handle.jobs.find({ ids: [submitted!.id] })).length, 1)
    }
  })

  test('who reads while a request or an event is stored or deleted sees all of it or nothing', async ({ storage, submit }) => {
    const text = JSON.stringify('x'.repeat(100_000))
    const jobId = await submit()
    for (const _ of range(1, 10)) {
      const submitting = storage.requests.submit({ now: NOW, items: [newRequest({ body: text })] })
      const appending = storage.events.append({ now: NOW, items: [{ jobId, event: event('large', { data: text }) }] })
      const read = async (): Promise<void> => {
        const { items: requests } = await storage.requests.list({ filter: {}, page: { ...FIRST_100, order: 'desc' } })
        for (const { id, body } of requests) assert.ok(id === jobId || body === text, 'a request has its body')
        for (const { data } of (await storage.events.list({ jobId, page: FIRST_100 })).items) assert.ok(data === text)
      }
      await Promise.all([read(), read(), submitting, read(), appending])
      const { id } = (await submitting)[0]!
      await Promise.all([read(), storage.requests.delete({ now: NOW, ids: [id] }), read()])
    }
  })

  test('a report and its events are stored together', async ({ storage, start, messages, state }) => {
    const held = await start({ maxAttempts: 1 })
    const report = { id: held.id, fence: held.fence, finishedAt: null }
    const results = await storage.leases.report({
      now: after(1),
      reports: [
        { ...report, outcome: FAILED, events: [event('first')] },
        { ...report, outcome: COMPLETED, events: [event('second')] },
      ],
    })
    assert.deepEqual(codes(results), [null, 'lease_lost'])
    assert.equal(await state(held.id), 'dead')
    assert.deepEqual(await messages(held.id), ['first'])
  })

  test('many verbs of all kinds asked for at once are all served', async ({ storage, submitAll, counts }) => {
    await submitAll(range(1, 200).map(() => ({})))
    const calls = range(0, 1_499).map(async (n): Promise<void> => {
      if (n % 3 === 0) await storage.requests.submit({ now: NOW, items: [newRequest()] })
      else if (n % 3 === 1) await storage.workers.seen({ workers: [{ id: `w${n % 10}`, at: NOW, queues: [], agent: null }] })
      else await storage.jobs.list({ filter: {}, page: { limit: 1, order: 'desc', after: null } })
    })
    await Promise.all(calls)
    assert.deepEqual(await counts(), { ready: 700 })
    assert.equal((await storage.workers.list({ since: 0 })).length, 10)
  })
}
