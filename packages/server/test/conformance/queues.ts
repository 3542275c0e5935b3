import assert from 'node:assert/strict'
import { DAY, SECOND } from '../../src/lib/time.ts'
import { DEFAULT_QUEUE_SETTINGS, type QueueSettings } from '../../src/model/queue.ts'
import type { PageRequest } from '../../src/storage/contract/page.ts'
import { after, COMPLETED, FAILED, FIRST_100, type Group, NOW, QUEUE, range, readAll, type Wish } from './harness.ts'

export const queues: Group = (test) => {
  test('a queue that its first job made has the default settings', async ({ submit, queue }) => {
    await submit({}, after(1))
    const { name, createdAt, version, counts, ...settings } = await queue()
    assert.deepEqual({ name, createdAt }, { name: QUEUE, createdAt: after(1) })
    assert.ok(Number.isInteger(version))
    assert.deepEqual(settings, DEFAULT_QUEUE_SETTINGS)
    assert.equal(counts.pending, 1)
  })

  test('a queue can be configured before it has jobs', async ({ configure, queue, storage }) => {
    const made = await configure({ concurrency: 4 }, 'new', after(1))
    assert.equal(made.createdAt, after(1))
    assert.deepEqual({ ...DEFAULT_QUEUE_SETTINGS, concurrency: 4 }, settingsOf(made))
    assert.deepEqual(await queue('new'), made)
    assert.equal((await storage.queues.list({ page: FIRST_100 })).items.length, 1)
  })

  const settings: QueueSettings = {
    paused: true,
    concurrency: 12,
    keyConcurrency: 3,
    rateLimit: { limit: 100, period: 60 * SECOND },
    keyRateLimit: { limit: 1, period: SECOND },
    maxAttempts: 9,
    backoff: { base: SECOND, factor: 1.5, max: 90 * SECOND, jitter: 0.1 },
    retention: 30 * DAY,
    handler: 'handlers/send.ts',
  }

  test('every setting is kept, and only those named change', async ({ configure, queue }) => {
    await configure(settings)
    assert.deepEqual(settingsOf(await queue()), settings)
    for (const [name, value] of Object.entries(DEFAULT_QUEUE_SETTINGS)) {
      const changed = await configure({ [name]: value })
      assert.deepEqual(settingsOf(changed), { ...settings, [name]: value })
      await configure(settings)
    }
  })

  test('every change raises the version', async ({ submit, configure, queue }) => {
    await submit()
    const versions = [(await queue()).version]
    for (const paused of [true, true, false]) versions.push((await configure({ paused })).version)
    assert.equal((await queue()).version, versions.at(-1))
    for (const [index, version] of versions.slice(1).entries()) assert.ok(version > versions[index]!)
  })

  test('jobs do not change the version', async ({ start, report, queue }) => {
    const held = await start()
    const { version } = await queue()
    await report(held, COMPLETED)
    assert.equal((await queue()).version, version)
  })

  test('a change for another version is refused', async ({ storage, configure, queue }) => {
    const first = await configure({ concurrency: 1 })
    const second = await configure({ concurrency: 2 })
    const change = (ifVersion: number, name: string = QUEUE) =>
      storage.queues.configure({ now: NOW, name, change: { concurrency: 3 }, ifVersion })
    await assert.rejects(change(first.version), { code: 'precondition_failed' })
    assert.deepEqual(await queue(), second)
    assert.equal((await change(second.version)).concurrency, 3)
    await assert.rejects(change(second.version), { code: 'precondition_failed' })
  })

  test('a change for any version of an unknown queue is refused and makes none', async ({ storage }) => {
    for (const ifVersion of [0, 1, 2])
      await assert.rejects(storage.queues.configure({ now: NOW, name: 'new', change: {}, ifVersion }), {
        code: 'precondition_failed',
      })
    assert.deepEqual((await storage.queues.list({ page: FIRST_100 })).items, [])
  })

  test('of concurrent changes for one version exactly one is made', async ({ configure, servers, queue }) => {
    const { version } = await configure({ concurrency: 1 })
    const handles = await servers(4)
    const changes = range(10, 19).map((concurrency) =>
      handles[concurrency % 4]!.queues.configure({ now: NOW, name: QUEUE, change: { concurrency }, ifVersion: version }),
    )
    const settled = await Promise.allSettled(changes)
    const made = settled.filter((result) => result.status === 'fulfilled')
    assert.equal(made.length, 1)
    assert.equal((await queue()).concurrency, made[0]!.value.concurrency)
  })

  test('concurrent changes of different settings are all made', async ({ configure, queue }) => {
    const answers = await Promise.all([
      configure({ concurrency: 7 }),
      configure({ keyConcurrency: 8 }),
      configure({ maxAttempts: 9 }),
    ])
    assert.equal(new Set(answers.map(({ version }) => version)).size, 3)
    const { concurrency, keyConcurrency, maxAttempts } = await queue()
    assert.deepEqual({ concurrency, keyConcurrency, maxAttempts }, { concurrency: 7, keyConcurrency: 8, maxAttempts: 9 })
  })

  test('the answer to a change has the counts as they are', async ({ configure, submitAll, queue }) => {
    const [, early] = await Promise.all([submitAll([{}, {}]), configure({ concurrency: 7 })])
    assert.ok([0, 2].includes(early.counts.ready), 'those of one moment')
    assert.deepEqual(await configure({ concurrency: 8 }), await queue())
  })

  test('queues are found by name, unknown ones left out', async ({ storage, configure }) => {
    await configure({}, 'a')
    await configure({}, 'b')
    const names = async (wanted: readonly string[]): Promise<string[]> =>
      (await storage.queues.find({ names: wanted })).map(({ name }) => name).sort()
    assert.deepEqual(await names(['b', 'none', 'a']), ['a', 'b'])
    assert.deepEqual(await names(['B', '', 'none']), [])
    assert.deepEqual(await names([]), [])
    assert.deepEqual((await storage.queues.list({ page: FIRST_100 })).items.map(({ name }) => name).sort(), ['a', 'b'])
  })

  /** In order of code points: in UTF-16 the last but one would be the last. */
  const ORDERED = ['!', '-1', '.', '1', '10', '2', 'A', 'B', 'a', 'a,b', 'a.b', 'ab', 'é', 'Ω', '\uFFFD', '😀', '😀a']

  for (const limit of [1, 2, 16, 17, 18]) {
    test(`pages of ${limit} hold every queue once, in order of name, either way`, async ({ storage, configure, submit }) => {
      for (const name of ORDERED.toReversed()) await configure({ concurrency: 7 }, name)
      await submit({ queue: 'a' })
      const list = (page: PageRequest<string>) => storage.queues.list({ page })
      const queues = await readAll(list, { limit, order: 'asc' })
      assert.deepEqual(
        queues.map(({ name }) => name),
        ORDERED,
      )
      assert.deepEqual(await readAll(list, { limit, order: 'desc' }), queues.toReversed())
      assert.deepEqual(queues, (await Promise.all(ORDERED.map((name) => storage.queues.find({ names: [name] })))).flat())
    })
  }

  test('a page of queues goes on from any name, also one that no queue has', async ({ storage, configure }) => {
    for (const name of ['a', 'c', 'd']) await configure({}, name)
    const from = async (order: 'asc' | 'desc', after: string): Promise<readonly [string[], string | null]> => {
      const { items, next } = await storage.queues.list({ page: { limit: 2, order, after } })
      return [items.map(({ name }) => name), next]
    }
    assert.deepEqual(await from('asc', 'b'), [['c', 'd'], null])
    assert.deepEqual(await from('desc', 'cc'), [['c', 'a'], null])
    assert.deepEqual(await from('asc', 'A'), [['a', 'c'], 'c'])
    assert.deepEqual(await from('asc', 'd'), [[], null])
  })

  test('the counts tell how many jobs are in each stage', async ({ submitAll, finish, start, counts, report }) => {
    await finish('completed')
    await finish('completed')
    await finish('cancelled')
    await finish('dead')
    const failing = await start()
    await report(failing, FAILED)
    const keyed: Wish = { concurrencyKey: 'k' }
    await start(keyed)
    await submitAll([{}, {}, {}, { runAt: after(60) }, keyed, keyed, { ...keyed, runAt: after(60) }, { queue: 'other' }])
    assert.deepEqual(await counts(), { ready: 3, scheduled: 3, held: 2, running: 1, completed: 2, cancelled: 1, dead: 1 })
    assert.deepEqual(await counts('other'), { ready: 1 })
  })

  test('counts stay right when verbs run concurrently', async (fixture) => {
    const { storage, submitAll, claim, counts, finish, retry, cancel, remove } = fixture
    const dead = await finish('dead')
    const [a, b] = (await submitAll([{}, {}])) as [number, number]
    const { jobs } = await claim({ limit: 2 })
    const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome: COMPLETED, finishedAt: null, events: [] }))
    const report = storage.leases.report({ now: NOW, reports })
    await Promise.all([
      report,
      submitAll([{}, { runAt: after(60) }, {}]),
      retry(dead),
      remove(a),
      cancel(b),
      claim({ limit: 1 }),
    ])
    const { items } = await storage.jobs.list({ filter: {}, page: FIRST_100 })
    assert.equal(items.length, 5)
    const { ready = 0, scheduled = 0, held = 0, ...others } = await counts()
    const states = Object.groupBy(items, ({ state }) => state)
    const counted = Object.fromEntries(Object.entries(states).map(([state, jobs]) => [state, jobs.length]))
    assert.deepEqual({ pending: ready + scheduled + held, ...others }, { pending: 0, ...counted })
  })
}

function settingsOf({
  name: _name,
  createdAt: _createdAt,
  version: _version,
  counts: _counts,
  ...settings
}: QueueSettings & {
  readonly name: string
  readonly createdAt: number
  readonly version: number
  readonly counts: unknown
}): QueueSettings {
  return settings
}
