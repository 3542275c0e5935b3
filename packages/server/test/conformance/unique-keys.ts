import assert from 'node:assert/strict'
import { after, codes, FAILED, type Fixture, type Group, NOW, newRequest, QUEUE, range, snoozed, type Wish } from './harness.ts'

const UNIQUE: Wish = { uniqueKey: 'invoice-7' }

export const uniqueKeys: Group = (test) => {
  test('a second job is not made while one holds the key', async ({ storage, submit, trySubmit, counts }) => {
    const id = await submit(UNIQUE)
    assert.deepEqual(await trySubmit([UNIQUE]), [{ id, hasJob: true, outcome: 'existing' }])
    assert.deepEqual(await counts(), { ready: 1 })
    const { items } = await storage.requests.list({ filter: {}, page: { limit: 10, order: 'asc', after: null } })
    assert.equal(items.length, 1, 'nothing was recorded')
  })

  test('two with one key in one batch make one job', async ({ trySubmit, counts }) => {
    const [first, second] = await trySubmit([UNIQUE, UNIQUE])
    assert.equal(first?.outcome, 'created')
    assert.deepEqual(second, { id: first?.id, hasJob: true, outcome: 'existing' })
    assert.deepEqual(await counts(), { ready: 1 })
  })

  test('of many concurrent submits with one key exactly one makes a job', async ({ servers, counts }) => {
    const handles = await servers(4)
    const answers = await Promise.all(
      range(0, 19).map((n) => handles[n % 4]!.requests.submit({ now: NOW, items: [newRequest(UNIQUE)] })),
    )
    const outcomes = answers.flat().map(({ outcome }) => outcome)
    assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
    assert.equal(outcomes.filter((outcome) => outcome === 'existing').length, 19)
    assert.deepEqual(await counts(), { ready: 1 })
  })

  test('a key belongs to its queue', async ({ submit }) => {
    const here = await submit(UNIQUE)
    const there = await submit({ ...UNIQUE, queue: 'reports' })
    assert.notEqual(here, there)
  })

  const holding: Readonly<Record<string, (fixture: Fixture) => Promise<number>>> = {
    'is scheduled': ({ submit }) => submit({ ...UNIQUE, runAt: after(60) }),
    'is held by its concurrency key': async ({ start, submit }) => {
      await start({ concurrencyKey: 'customer-7' })
      return submit({ ...UNIQUE, concurrencyKey: 'customer-7' })
    },
    runs: async ({ start }) => (await start(UNIQUE)).id,
    'waits for its next attempt': async ({ start, report }) => {
      const held = await start(UNIQUE)
      await report(held, FAILED)
      return held.id
    },
    'is snoozed': async ({ start, report }) => {
      const held = await start(UNIQUE)
      await report(held, snoozed(60_000_000))
      return held.id
    },
  }
  for (const [situation, make] of Object.entries(holding)) {
    test(`a key is taken while its job ${situation}`, async (fixture) => {
      const id = await make(fixture)
      assert.deepEqual(await fixture.trySubmit([UNIQUE]), [{ id, hasJob: true, outcome: 'existing' }])
    })
  }

  const freeing: Readonly<Record<string, (fixture: Fixture) => Promise<unknown>>> = {
    completed: ({ finish }) => finish('completed', UNIQUE),
    cancelled: async ({ cancel, submit }) => cancel(await submit(UNIQUE)),
    dead: ({ finish }) => finish('dead', UNIQUE),
    deleted: async ({ remove, submit }) => remove(await submit(UNIQUE)),
  }
  for (const [state, make] of Object.entries(freeing)) {
    test(`a key is free once its job is ${state}`, async (fixture) => {
      await make(fixture)
      const [answer] = await fixture.trySubmit([UNIQUE])
      assert.equal(answer?.outcome, 'created')
    })
  }

  test('a finished job cannot be run again while another one holds its key', async ({
    finish,
    submit,
    storage,
    state,
    counts,
  }) => {
    const first = await finish('dead', UNIQUE)
    const second = await submit(UNIQUE)
    const items = [{ id: first, payload: null, queue: null }]
    const [result] = await storage.jobs.retry({ now: NOW, items, note: 'Run again' })
    assert.equal(result?.error?.code, 'unique_key_taken')
    assert.deepEqual(result?.error?.details, { holder: second, uniqueKey: 'invoice-7', queue: QUEUE })
    assert.equal(await state(first), 'dead')
    assert.deepEqual(await counts(), { ready: 1, dead: 1 })
  })

  test('of two finished jobs with one key only the first of a batch is run again', async ({ finish, storage }) => {
    const ids = [await finish('dead', UNIQUE), await finish('completed', UNIQUE)]
    const items = ids.map((id) => ({ id, payload: null, queue: null }))
    assert.deepEqual(codes(await storage.jobs.retry({ now: NOW, items, note: 'Run again' })), [null, 'unique_key_taken'])
  })

  test('a job that is run again in another queue takes its key there', async ({ finish, submit, retry, trySubmit }) => {
    const id = await finish('dead', UNIQUE)
    await submit(UNIQUE)
    assert.equal((await retry(id, { queue: 'reports' })).error, null)
    assert.deepEqual(await trySubmit([{ ...UNIQUE, queue: 'reports' }]), [{ id, hasJob: true, outcome: 'existing' }])
  })

  test('a job cannot be run again in another queue where its key is taken', async ({ finish, submit, retry, job }) => {
    const id = await finish('dead', UNIQUE)
    await submit({ ...UNIQUE, queue: 'reports' })
    assert.equal((await retry(id, { queue: 'reports' })).error?.code, 'unique_key_taken')
    assert.equal((await job(id)).queue, QUEUE)
  })

  test('a job run again holds its key again', async ({ finish, retry, trySubmit }) => {
    const id = await finish('completed', UNIQUE)
    await retry(id)
    assert.deepEqual(await trySubmit([UNIQUE]), [{ id, hasJob: true, outcome: 'existing' }])
  })
}
