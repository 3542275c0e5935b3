import assert from 'node:assert/strict'
import { JOB_STATES, type Job } from '../../src/model/job.ts'
import type { JobFilter } from '../../src/model/job-filter.ts'
import type { RequestFilter } from '../../src/storage/contract/requests.ts'
import { after, type Fixture, type Group, range, readAll, type Wish } from './harness.ts'
import { Random } from './random.ts'

export const filters: Group = (test) => {
  test('jobs are filtered by queue', async ({ storage, submitAll }) => {
    const [a, b, c] = await submitAll([{ queue: 'a' }, { queue: 'b' }, { queue: 'c' }])
    assert.deepEqual(await jobIds(storage, { queues: ['a'] }), [a])
    assert.deepEqual(await jobIds(storage, { queues: ['c', 'b', 'c', 'none'] }), [b, c])
    assert.deepEqual(await jobIds(storage, { queues: ['A'] }), [], 'case counts')
    assert.deepEqual(await jobIds(storage, { queues: [] }), [])
  })

  test('jobs are filtered by state', async ({ storage, finish, start, submit }) => {
    const completed = await finish('completed')
    const cancelled = await finish('cancelled')
    const dead = await finish('dead')
    const running = (await start()).id
    const pending = await submit()
    for (const [state, id] of Object.entries({ completed, cancelled, dead, running, pending }))
      assert.deepEqual(await jobIds(storage, { states: [state as Job['state']] }), [id])
    assert.deepEqual(await jobIds(storage, { states: ['dead', 'pending', 'dead'] }), [dead, pending])
    assert.deepEqual(await jobIds(storage, { states: JOB_STATES }), [completed, cancelled, dead, running, pending])
    assert.deepEqual(await jobIds(storage, { states: [] }), [])
  })

  test('jobs are filtered by label, with or without its value', async ({ storage, submitAll }) => {
    const [a, b, c] = await submitAll([
      { labels: { customer: '7', urgent: '' } },
      { labels: { customer: '8' } },
      { labels: { customer: '7', kind: 'a=b' } },
    ])
    assert.deepEqual(await jobIds(storage, { label: 'customer' }), [a, b, c])
    assert.deepEqual(await jobIds(storage, { label: 'customer=7' }), [a, c])
    assert.deepEqual(await jobIds(storage, { label: 'kind=a=b' }), [c])
    assert.deepEqual(await jobIds(storage, { label: 'urgent=' }), [a])
    for (const label of ['7', 'Customer', 'customer=', 'customer=70', 'kind=a', '%'])
      assert.deepEqual(await jobIds(storage, { label }), [], label)
  })

  test('jobs and requests are filtered by when they came, the end excluded', async ({ storage, submit }) => {
    const ids: number[] = []
    for (const at of [after(0), after(1), after(1), after(3)]) ids.push(await submit({}, at))
    const [a, b, c, d] = ids
    const spans: readonly (readonly [JobFilter & RequestFilter, readonly (number | undefined)[]])[] = [
      [{ createdFrom: after(1) }, [b, c, d]],
      [{ createdFrom: after(1) + 1 }, [d]],
      [{ createdTo: after(1) }, [a]],
      [{ createdTo: after(1) + 1 }, [a, b, c]],
      [{ createdFrom: after(1), createdTo: after(3) }, [b, c]],
      [{ createdFrom: after(1), createdTo: after(1) }, []],
      [{ createdFrom: after(2), createdTo: after(1) }, []],
      [{ createdFrom: after(4) }, []],
      [{ createdTo: after(-1) }, []],
      [{ createdFrom: 0, createdTo: after(1_000) }, [a, b, c, d]],
    ]
    for (const [filter, expected] of spans) {
      assert.deepEqual(await jobIds(storage, filter), expected)
      assert.deepEqual(await requestIds(storage, filter), expected)
    }
  })

  test('a span of time is found though requests are gone', async ({ storage, submit, remove }) => {
    const ids: number[] = []
    for (const n of range(0, 19)) ids.push(await submit({}, after(n)))
    for (const index of [0, 4, 5, 6, 12, 19]) await remove(ids[index]!)
    assert.deepEqual(
      await jobIds(storage, { createdFrom: after(5), createdTo: after(14) }),
      [7, 8, 9, 10, 11, 13].map((index) => ids[index]),
    )
    assert.deepEqual(await jobIds(storage, { createdFrom: after(19) }), [])
  })

  test('jobs are filtered by id', async ({ storage, submitAll }) => {
    const ids = await submitAll([{}, {}, { queue: null }, {}])
    const [a, , jobless, d] = ids as [number, number, number, number]
    assert.deepEqual(await jobIds(storage, { ids: [d, a, a, 10_000, jobless] }), [a, d])
    assert.deepEqual(await jobIds(storage, { ids: [] }), [])
  })

  test('jobs and requests are filtered by text, whatever its case', async ({ storage, submitAll }) => {
    const [a, b, c] = await submitAll([
      { body: '{"to":"Ada@Example.com"}' },
      { body: '{"to":"grace%"}' },
      { body: '{"für":"Öl"}' },
    ])
    const found: readonly (readonly [string, readonly (number | undefined)[]])[] = [
      ['ada@example', [a]],
      ['TO', [a, b]],
      ['%', [b]],
      ['grac_', []],
      ['öL', [c]],
      ['nothing', []],
    ]
    for (const [text, expected] of found) {
      assert.deepEqual(await jobIds(storage, { text }), expected, text)
      assert.deepEqual(await requestIds(storage, { text }), expected, text)
    }
  })

  test('the text is that of what the job runs with', async ({ storage, finish, retry }) => {
    const id = await finish('dead', { body: '"before"' })
    await retry(id, { payload: '"behind"' })
    assert.deepEqual(await jobIds(storage, { text: 'behind' }), [id])
    assert.deepEqual(await jobIds(storage, { text: 'before' }), [])
    assert.deepEqual(await requestIds(storage, { text: 'before' }), [id])
  })

  test('one in thousands is found by its text, however many pages it takes', async ({ storage, submitAll }) => {
    const wishes = range(1, 5_000).map((n) => ({ body: n === 137 || n === 4_801 ? '"needle"' : '"hay"' }))
    const ids = await submitAll(wishes)
    const expected = [ids[136], ids[4_800]]
    assert.deepEqual(await jobIds(storage, { text: 'needle' }), expected)
    assert.deepEqual(await requestIds(storage, { text: 'needle' }), expected)
    assert.deepEqual(await jobIds(storage, { text: 'needle', queues: ['emails'], states: ['pending'] }), expected)
  })

  test('requests are filtered by queue, and by what they came in as', async ({ storage, submitAll }) => {
    const [a, b, c] = await submitAll([{ queue: 'a', source: 'capture' }, { queue: 'b' }, { queue: null, source: 'capture' }])
    assert.deepEqual(await requestIds(storage, { queues: ['a', 'none'] }), [a])
    assert.deepEqual(await requestIds(storage, { source: 'capture' }), [a, c])
    assert.deepEqual(await requestIds(storage, { source: 'api' }), [b])
    assert.deepEqual(await requestIds(storage, { source: 'capture', queues: ['a', 'b'] }), [a])
    assert.deepEqual(await requestIds(storage, { queues: [] }), [])
  })

  test('filters hold all together', async (fixture) => {
    const { storage, submit, claim, report, cancel } = fixture
    const random = new Random(7)
    const wishes: (Wish & { id: number; at: number })[] = []
    for (const n of range(1, 150)) {
      const wish = {
        queue: random.pick(['a', 'b', 'c']),
        priority: random.between(0, 9),
        labels: random.chance(0.5) ? { tier: random.pick(['1', '2']) } : null,
        body: random.pick(['"red"', '"green"']),
      }
      wishes.push({ ...wish, id: await submit(wish, after(n)), at: after(n) })
    }
    for (const queue of ['a', 'b', 'c'])
      for (const job of (await claim({ queue, limit: 25, now: after(200) })).jobs)
        if (random.chance(0.6))
          await report(
            job,
            random.pick([
              { kind: 'completed', result: null, handled: true },
              { kind: 'discarded', reason: '', error: null },
            ] as const),
          )
    for (const { id } of wishes) if (random.chance(0.1)) await cancel(id)
    const jobs = new Map(
      (await readAll((page) => storage.jobs.list({ filter: {}, page }), { limit: 40, order: 'asc' })).map((job) => [
        job.id,
        job,
      ]),
    )
    assert.equal(jobs.size, 150)

    for (let round = 0; round < 60; round++) {
      const filter = randomFilter(random, [...jobs.keys()])
      const expected = wishes
        .filter(({ id, at, body }) => {
          const job = jobs.get(id)!
          return (
            (filter.queues?.includes(job.queue) ?? true) &&
            (filter.states?.includes(job.state) ?? true) &&
            (filter.ids?.includes(id) ?? true) &&
            (filter.label === undefined || labelsOf(job).includes(filter.label)) &&
            at >= (filter.createdFrom ?? 0) &&
            at < (filter.createdTo ?? Number.POSITIVE_INFINITY) &&
            body!.includes(filter.text ?? '')
          )
        })
        .map(({ id }) => id)
      assert.deepEqual(await jobIds(storage, filter), expected, JSON.stringify(filter))
    }
  })
}

function randomFilter(random: Random, ids: readonly number[]): JobFilter {
  const some = <Value>(value: Value): Value | undefined => (random.chance(0.35) ? value : undefined)
  return {
    queues: some([random.pick(['a', 'b', 'c']), random.pick(['a', 'b', 'c'])]),
    states: some([random.pick(JOB_STATES), random.pick(JOB_STATES)]),
    label: some(random.pick(['tier', 'tier=1', 'tier=2'])),
    createdFrom: some(after(random.between(1, 100))),
    createdTo: some(after(random.between(50, 160))),
    ids: some(ids.filter(() => random.chance(0.5))),
    text: some(random.pick(['red', 'green'])),
  }
}

const labelsOf = ({ labels }: Job): string[] => Object.entries(labels).flatMap(([name, value]) => [name, `${name}=${value}`])

/** The ids that match, having come in the same order either way. */
async function jobIds({ jobs }: Fixture['storage'], filter: JobFilter): Promise<number[]> {
  const ids = (await readAll((page) => jobs.list({ filter, page }), { limit: 7, order: 'asc' })).map(({ id }) => id)
  const back = await readAll((page) => jobs.list({ filter, page }), { limit: 11, order: 'desc' })
  assert.deepEqual(back.map(({ id }) => id).toReversed(), ids)
  return ids
}

async function requestIds({ requests }: Fixture['storage'], filter: RequestFilter): Promise<number[]> {
  const ids = (await readAll((page) => requests.list({ filter, page }), { limit: 7, order: 'asc' })).map(({ id }) => id)
  const back = await readAll((page) => requests.list({ filter, page }), { limit: 11, order: 'desc' })
  assert.deepEqual(back.map(({ id }) => id).toReversed(), ids)
  return ids
}
