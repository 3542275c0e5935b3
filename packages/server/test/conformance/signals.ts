import assert from 'node:assert/strict'
import { SECOND } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { after, COMPLETED, FAILED, type Fixture, type Group, LEASE, NOW, QUEUE, RELEASED, range, type Wish } from './harness.ts'

/** @returns the job that the act is about. */
type Before = (fixture: Fixture) => Promise<number>

interface Act {
  readonly before?: Before
  readonly act: (fixture: Fixture, id: number) => Promise<unknown>
}

const START: Before = async ({ start }) => (await start()).id

const START_AT_LIMIT: Before = async ({ start, submit, configure }) => {
  await configure({ concurrency: 1 })
  const { id } = await start()
  await submit()
  return id
}

const START_OF_KEY: Before = async ({ start, submit }) => {
  const { id } = await start({ concurrencyKey: 'k' })
  await submit({ concurrencyKey: 'k' })
  return id
}

const pausedWith =
  (wish: Wish): Before =>
  async ({ submit, configure }) => {
    await configure({ paused: true })
    return submit(wish)
  }

/**
 * What a caller who waits for jobs must be told of: each act brings it about that a claim answers differently from the
 * claim just before, so that without a signal nobody would claim again.
 */
const ACTS: Readonly<Record<string, Act>> = {
  'a job is submitted': { act: ({ submit }) => submit() },
  'a delayed job is submitted, so that the next time is nearer': {
    before: ({ submit }) => submit({ runAt: after(600) }),
    act: ({ submit }) => submit({ runAt: after(60) }),
  },
  'a running job is released': { before: START, act: ({ report }, id) => report({ id, fence: 1 }, RELEASED) },
  'a running job fails and waits for its next attempt': {
    before: START,
    act: ({ report }, id) => report({ id, fence: 1 }, FAILED),
  },
  'a job whose lease ran out is taken back': {
    before: START,
    act: ({ storage }) => storage.leases.rescue({ now: after(31), limit: 1 }),
  },
  'a finished job is run again': { before: ({ finish }) => finish('dead'), act: ({ retry }, id) => retry(id) },
  'a delayed job is brought forward': {
    before: ({ submit }) => submit({ runAt: after(600) }),
    act: ({ storage }, id) => storage.jobs.edit({ now: NOW, id, change: { runAt: NOW }, note: '' }),
  },
  'a delayed job is brought forward to a time that is still to come': {
    before: ({ submit }) => submit({ runAt: after(600) }),
    act: ({ storage }, id) => storage.jobs.edit({ now: NOW, id, change: { runAt: after(60) }, note: '' }),
  },
  'a paused queue is resumed': { before: pausedWith({}), act: ({ configure }) => configure({ paused: false }) },
  'a paused queue that has only delayed jobs is resumed': {
    before: pausedWith({ runAt: after(60) }),
    act: ({ configure }) => configure({ paused: false }),
  },
  'a running job ends in a queue at its limit': {
    before: START_AT_LIMIT,
    act: ({ report }, id) => report({ id, fence: 1 }, COMPLETED),
  },
  'a running job is deleted in a queue at its limit': { before: START_AT_LIMIT, act: ({ remove }, id) => remove(id) },
  'the limit of a queue is raised': { before: START_AT_LIMIT, act: ({ configure }) => configure({ concurrency: 2 }) },
  'the rate limit of a queue is lifted': {
    before: async ({ start, submit, configure }) => {
      await configure({ rateLimit: { limit: 1, period: 3_600 * SECOND } })
      await start()
      return submit()
    },
    act: ({ configure }) => configure({ rateLimit: null }),
  },
  'the running job of a key ends': { before: START_OF_KEY, act: ({ report }, id) => report({ id, fence: 1 }, COMPLETED) },
  'the limit of the keys is raised': { before: START_OF_KEY, act: ({ configure }) => configure({ keyConcurrency: 2 }) },
  'a job is submitted whose key has to wait for its rate limit': {
    before: async ({ start, configure }) => {
      await configure({ keyConcurrency: 9, keyRateLimit: { limit: 1, period: 60 * SECOND } })
      return (await start({ concurrencyKey: 'k' })).id
    },
    act: ({ submit }) => submit({ concurrencyKey: 'k' }),
  },
  'an operation runs jobs again': {
    before: ({ finish }) => finish('dead'),
    act: async ({ storage }) => {
      const { id } = await storage.operations.create({ now: NOW, action: 'retry', filter: {}, by: 'key:k_1' })
      await storage.operations.step({ now: NOW, id, limit: 10, note: '' })
    },
  },
}

export const signals: Group = (test) => {
  for (const [title, { before, act }] of Object.entries(ACTS)) {
    test(`those who wait are told when ${title}`, async (fixture) => {
      const id = (await before?.(fixture)) ?? 0
      const claim = await fixture.claim({ now: after(31) })
      assert.deepEqual(claim.jobs, [], 'there is nothing to claim before')
      const told = signal(fixture.storage, QUEUE)
      await act(fixture, id)
      assert.ok((await told) !== 0)
      assert.notDeepEqual(await fixture.claim({ now: after(31) }), claim, 'a claim is answered differently now')
    })
  }

  test('what is signalled can be claimed', async ({ storage, submitAll }) => {
    const got = new Promise<number>((resolve, reject) => {
      const unsubscribe = storage.onReady((queue) => {
        unsubscribe()
        storage.leases
          .claim({ now: NOW, queue, worker: 'w', limit: 10, lease: LEASE })
          .then(({ jobs }) => resolve(jobs.length), reject)
      })
    })
    await submitAll([{}, {}, {}])
    assert.equal(await got, 3)
  })

  test('the signal counts the jobs that became free, where it counts at all', async ({ storage, submitAll }) => {
    const told = signal(storage, QUEUE)
    await submitAll(range(1, 7).map(() => ({})))
    const count = await told
    assert.ok(count === null || count >= 7, `${count} were told of`)
  })

  test('each queue concerned is signalled', async ({ storage, submitAll }) => {
    const told = Promise.all(['a', 'b'].map((queue) => signal(storage, queue)))
    await submitAll([{ queue: 'a' }, { queue: 'b' }, { queue: 'a' }])
    await told
  })

  test('who has unsubscribed is told no more, and others still are', async ({ storage, submit }) => {
    let told = 0
    const unsubscribe = storage.onReady(() => told++)
    await submit()
    const first = signal(storage, QUEUE)
    await submit()
    await first
    const before = told
    assert.ok(before > 0)
    unsubscribe()
    unsubscribe()
    const second = signal(storage, QUEUE)
    await submit()
    await second
    assert.equal(told, before)
  })

  test('a write that fails signals nothing', async ({ storage, submit }) => {
    const told = new Set<string>()
    storage.onReady((queue) => told.add(queue))
    const change = { now: NOW, name: 'never', change: { concurrency: 1 }, ifVersion: 7 }
    await assert.rejects(storage.queues.configure(change), { code: 'precondition_failed' })
    const next = signal(storage, QUEUE)
    await submit()
    await next
    assert.deepEqual([...told], [QUEUE])
  })

  test('servers that share a database hear of each other’s commits', async ({ storage, servers, submit }) => {
    if (storage.capabilities.signals === 'none') return
    const told = (await servers(3)).map((server) => signal(server, QUEUE))
    await submit()
    await Promise.all(told)
  })
}

/** Long past the time in which any signal comes; a deadline, for a signal that never does. */
const DEADLINE_MS = 10_000

/** The count of the next signal for a queue. */
function signal(storage: Storage, wanted: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`queue ${wanted} was not signalled`)), DEADLINE_MS)
    const unsubscribe = storage.onReady((queue, count) => {
      if (queue !== wanted) return
      unsubscribe()
      clearTimeout(deadline)
      resolve(count)
    })
  })
}
