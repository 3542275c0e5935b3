import assert from 'node:assert/strict'
import type { Storage } from '../../src/storage/contract/storage.ts'
import {
  after,
  COMPLETED,
  FAILED,
  type Fixture,
  type Group,
  type Held,
  LEASE,
  NOW,
  newRequest,
  QUEUE,
  RELEASED,
  range,
  snoozed,
  type Wish,
} from './harness.ts'

const KEYED: Wish = { concurrencyKey: 'customer-7' }
const OTHER: Wish = { concurrencyKey: 'customer-8' }

export const concurrencyKeys: Group = (test) => {
  test('one job of a key runs at a time, the oldest first', async ({ submitAll, claim, claimIds, report, counts }) => {
    const [a, b, c] = await submitAll([KEYED, KEYED, KEYED])
    assert.deepEqual(await counts(), { ready: 1, held: 2 })
    const { jobs } = await claim({ limit: 10 })
    assert.deepEqual(
      jobs.map(({ id }) => id),
      [a],
    )
    assert.deepEqual(await claimIds({ limit: 10 }), [])
    assert.deepEqual(await counts(), { held: 2, running: 1 })
    await report(jobs[0]!, COMPLETED)
    assert.deepEqual(await claimIds({ limit: 10 }), [b])
    assert.ok(c)
  })

  test('jobs of other keys and without a key pass by a busy key', async ({ submitAll, claimIds }) => {
    const [a, , b, c] = await submitAll([KEYED, KEYED, OTHER, {}])
    assert.deepEqual(await claimIds({ limit: 10 }), [a, b, c])
  })

  test('a key belongs to its queue', async ({ start, submit, claimIds }) => {
    await start(KEYED)
    const id = await submit({ ...KEYED, queue: 'reports' })
    assert.deepEqual(await claimIds({ queue: 'reports' }), [id])
  })

  test('within a key the most urgent job goes first, also one that came later', async ({
    submit,
    claimIds,
    claimOne,
    report,
    counts,
  }) => {
    const plain = await submit(KEYED)
    const lazy = await submit({ ...KEYED, priority: 9 })
    const urgent = await submit({ ...KEYED, priority: 0 })
    assert.deepEqual(await counts(), { ready: 1, held: 2 })
    const first = await claimOne()
    assert.equal(first.id, urgent)
    await report(first, COMPLETED)
    const second = await claimOne()
    assert.equal(second.id, plain)
    await report(second, COMPLETED)
    assert.deepEqual(await claimIds(), [lazy])
  })

  test('an urgent job of a busy key waits while lesser jobs of other keys start', async ({ start, submit, claimIds }) => {
    await start(KEYED)
    await submit({ ...KEYED, priority: 0 })
    const other = await submit({ ...OTHER, priority: 9 })
    assert.deepEqual(await claimIds({ limit: 10 }), [other])
  })

  test('thousands of jobs of a busy key in front keep nobody from starting', async ({ start, submit, submitAll, claim }) => {
    await start(KEYED)
    await submitAll(range(1, 3_000).map(() => KEYED))
    const last = await submit()
    const { jobs } = await claim({ limit: 1 })
    assert.equal(jobs[0]?.id, last)
  })

  test('a queue may let several jobs of a key run', async ({ submitAll, configure, claim, claimIds, report, counts }) => {
    await configure({ keyConcurrency: 3 })
    const ids = await submitAll(range(1, 6).map(() => KEYED))
    assert.deepEqual(await counts(), { ready: 3, held: 3 })
    const { jobs } = await claim({ limit: 10 })
    assert.deepEqual(
      jobs.map(({ id }) => id),
      ids.slice(0, 3),
    )
    await report(jobs[1]!, COMPLETED)
    assert.deepEqual(await claimIds({ limit: 10 }), [ids[3]])
  })

  test('of jobs of a key that are submitted at once, at several servers, as many are ready as have room', async (fixture) => {
    await fixture.configure({ keyConcurrency: 3 })
    const servers = await fixture.servers(4)
    const submitters = range(0, 15).map((n) =>
      servers[n % 4]!.requests.submit({
        now: NOW,
        items: range(1, 5).map((m) => newRequest({ ...KEYED, priority: m, uniqueKey: n % 2 === 0 ? `${n}-${m}` : null })),
      }),
    )
    await Promise.all(submitters)
    assert.deepEqual(await fixture.counts(), { ready: 3, held: 77 })
    const { jobs } = await fixture.claim({ limit: 80 })
    assert.deepEqual(
      jobs.map(({ priority }) => priority),
      [1, 1, 1],
    )
  })

  test('a waiting job that somebody looks at just when its key gets room is started all the same', async (fixture) => {
    const running = await fixture.start(KEYED)
    const [next, last] = (await fixture.submitAll([KEYED, KEYED])) as [number, number]
    const complete = (): Promise<unknown> => fixture.report(running, COMPLETED)
    await (fixture.opened.whileHeld?.(next, complete) ?? complete())
    assert.deepEqual(await fixture.claimIds({ now: after(1) }), [next])
    assert.deepEqual(await fixture.counts(), { held: 1, running: 1, completed: 1 })
    assert.ok(last)
  })

  test('a raised limit holds from the next claim on', async ({ submitAll, configure, claimIds }) => {
    const ids = await submitAll(range(1, 5).map(() => KEYED))
    assert.deepEqual(await claimIds({ limit: 10 }), [ids[0]])
    await configure({ keyConcurrency: 3 })
    assert.deepEqual(await claimIds({ limit: 10 }), [ids[1], ids[2]])
  })

  test('a limit raised while jobs of its keys end and come reaches every key', async (fixture) => {
    const { submitAll, submit, claim, report, queue: read } = fixture
    const [, other] = (await fixture.servers(2)) as [Storage, Storage]
    for (let round = 0; round < 10; round++) {
      const queue = `queue-${round}`
      await submitAll(range(0, 79).map((n) => ({ queue, concurrencyKey: `k${n % 10}` })))
      const { jobs } = await claim({ queue, limit: 10 })
      await Promise.all([
        other.queues.configure({ now: NOW, name: queue, change: { keyConcurrency: 3 }, ifVersion: null }),
        ...jobs.map((job) => report(job, COMPLETED)),
        ...range(0, 9).map((n) => submit({ queue, concurrencyKey: `k${n}` })),
      ])
      while ((await claim({ queue, limit: 100, now: after(1) })).jobs.length > 0);
      assert.equal((await read(queue)).counts.running, 30)
    }
  })

  test('a lowered limit holds from the next claim on, for jobs that were free to start too', async ({
    submitAll,
    configure,
    claim,
    claimIds,
    report,
  }) => {
    await configure({ keyConcurrency: 4 })
    const ids = await submitAll(range(1, 6).map(() => KEYED))
    const { jobs } = await claim({ limit: 2 })
    await configure({ keyConcurrency: 2 })
    assert.deepEqual(await claimIds({ limit: 10 }), [])
    await report(jobs[0]!, COMPLETED)
    assert.deepEqual(await claimIds({ limit: 10 }), [ids[2]])
    await configure({ keyConcurrency: 1 })
    await report(jobs[1]!, COMPLETED)
    assert.deepEqual(await claimIds({ limit: 10 }), [], 'one still runs')
  })

  test('a limit lowered and raised again loses no job', async ({ submitAll, configure, claim, claimIds, counts }) => {
    await configure({ keyConcurrency: 5 })
    const ids = await submitAll(range(1, 5).map(() => KEYED))
    await configure({ keyConcurrency: 1 })
    assert.deepEqual((await claim({ limit: 0 })).jobs, [])
    assert.deepEqual(await counts(), { ready: 1, held: 4 })
    await configure({ keyConcurrency: 5 })
    assert.deepEqual(await claimIds({ limit: 10 }), ids)
  })

  test('many keys wait for a raised limit and all get it', async ({ submitAll, configure, claim, counts }) => {
    const keys = range(1, 1_300).map((n) => ({ concurrencyKey: `customer-${n}` }))
    await submitAll(keys)
    await submitAll(keys)
    assert.deepEqual(await counts(), { ready: 1_300, held: 1_300 })
    await configure({ keyConcurrency: 2 })
    let got = 0
    for (let rounds = 0; got < 2_600; rounds++) {
      assert.ok(rounds < 20, `${got} jobs were handed out, then no more`)
      got += (await claim({ limit: 1_000 })).jobs.length
    }
  })

  test('a lowered limit holds for however many keys at once', async ({ submitAll, configure, claim }) => {
    await configure({ keyConcurrency: 2 })
    const keys = range(1, 1_300).map((n) => ({ concurrencyKey: `customer-${n}` }))
    await submitAll(keys)
    await submitAll(keys)
    await configure({ keyConcurrency: 1 })
    const { jobs } = await claim({ limit: 2_600 })
    assert.equal(jobs.length, 1_300)
    assert.equal(new Set(jobs.map(({ concurrencyKey }) => concurrencyKey)).size, 1_300)
  })

  test('a limit raised far for thousands of jobs of one key lets all of them start', async ({
    submitAll,
    configure,
    claim,
  }) => {
    const ids = await submitAll(range(1, 3_000).map(() => KEYED))
    await configure({ keyConcurrency: 3_000 })
    const started = await claimAll(claim, ids.length)
    assert.deepEqual(
      started.sort((a, b) => a - b),
      ids,
    )
  })

  test('a limit lowered under thousands of free jobs of one key is never exceeded, and keeps no others from starting', async (fixture) => {
    const { submitAll, submit, configure, claim, counts } = fixture
    await configure({ keyConcurrency: 3_000 })
    const [first] = await submitAll(range(1, 3_000).map(() => KEYED))
    const other = await submit()
    assert.deepEqual(await counts(), { ready: 3_001 })
    await configure({ keyConcurrency: 1 })
    assert.deepEqual(await claimAll(claim, 2), [first, other])
    for (let rounds = 0; (await claim({ limit: 10 })).nextAt !== null; rounds++) assert.ok(rounds < 100, 'it comes to rest')
    assert.deepEqual(await counts(), { held: 2_999, running: 2 })
  })

  test('a delayed job of a key takes its place when it is due', async ({ submit, claimIds, claimOne, report }) => {
    const delayed = await submit({ ...KEYED, runAt: after(60), priority: 0 })
    const plain = await submit(KEYED)
    const held = await claimOne()
    assert.equal(held.id, plain)
    assert.deepEqual(await claimIds({ now: after(60) }), [])
    await report(held, COMPLETED, { now: after(61) })
    assert.deepEqual(await claimIds({ now: after(61) }), [delayed])
  })

  /** Every way in which a running job gives its place back. */
  const endings: Readonly<Record<string, (fixture: Fixture, held: Held) => Promise<unknown>>> = {
    'it completes': ({ report }, held) => report(held, COMPLETED),
    'it fails and waits for its next attempt': ({ report }, held) => report(held, FAILED),
    'it is snoozed': ({ report }, held) => report(held, snoozed(60_000_000)),
    'it dies': ({ report }, held) => report(held, { kind: 'discarded', reason: 'no use', error: null }),
    'it is cancelled': async ({ cancel, report }, held) => {
      await cancel(held.id)
      await report(held, RELEASED)
    },
    'it is deleted': ({ remove }, held) => remove(held.id),
    'a client without a token completes it': ({ report }, held) => report({ ...held, fence: null }, COMPLETED),
  }
  for (const [title, end] of Object.entries(endings)) {
    test(`the next job of a key may start once the running one is through: ${title}`, async (fixture) => {
      const held = await fixture.start(KEYED)
      const next = await fixture.submit(KEYED)
      await end(fixture, held)
      assert.deepEqual(await fixture.claimIds({ limit: 10 }), [next])
      await fixture.submit(KEYED)
      assert.deepEqual(await fixture.claimIds({ limit: 10 }), [], 'and it is alone again')
    })
  }

  test('a released job of a key goes before those that came after it', async ({ start, submit, report, claimIds }) => {
    const held = await start(KEYED)
    await submit(KEYED)
    await report(held, RELEASED)
    assert.deepEqual(await claimIds({ limit: 10 }), [held.id])
  })

  test('a job whose lease ran out gives its place back', async ({ storage, start, submit, claimIds }) => {
    const held = await start(KEYED)
    await submit({ ...KEYED, priority: 0 })
    await storage.leases.rescue({ now: after(31), limit: 10 })
    const [first, ...rest] = await claimIds({ now: after(31), limit: 10 })
    assert.notEqual(first, held.id)
    assert.deepEqual(rest, [])
  })

  test('a waiting job that goes away leaves the others in order', async ({ submitAll, cancel, remove, claimIds, counts }) => {
    const [a, b, c, d] = (await submitAll([KEYED, KEYED, KEYED, KEYED])) as [number, number, number, number]
    await cancel(a)
    assert.deepEqual(await counts(), { ready: 1, held: 2, cancelled: 1 })
    await remove(b)
    assert.deepEqual(await counts(), { ready: 1, held: 1, cancelled: 1 })
    await remove(d)
    assert.deepEqual(await claimIds({ limit: 10 }), [c])
  })

  test('a job run again, here or in another queue, waits for its key', async ({ finish, start, retry, claimIds, counts }) => {
    const ids = [await finish('dead', KEYED), await finish('completed', KEYED)] as const
    await start(KEYED)
    await start({ ...KEYED, queue: 'reports' })
    await retry(ids[0])
    await retry(ids[1], { queue: 'reports' })
    assert.deepEqual(await claimIds(), [])
    assert.deepEqual(await claimIds({ queue: 'reports' }), [])
    assert.deepEqual(await counts(), { held: 1, running: 1 })
    assert.deepEqual(await counts('reports'), { held: 1, running: 1 })
  })

  test('a job leased without a claim takes a place of its key', async ({ storage, submitAll, claimIds, report, counts }) => {
    const [a, b] = (await submitAll([KEYED, KEYED])) as [number, number]
    const renewed = await storage.leases.renew({ now: NOW, id: b, worker: 'old-client', lease: LEASE, start: true })
    assert.equal(renewed.error, null)
    assert.deepEqual(await counts(), { held: 1, running: 1 })
    assert.deepEqual(await claimIds({ limit: 10 }), [])
    const refused = await storage.leases.renew({ now: NOW, id: a, worker: 'old-client', lease: LEASE, start: true })
    assert.equal(refused.error?.code, 'job_must_wait', 'nor may it take more places than there are')
    await report({ id: b, fence: null }, COMPLETED)
    assert.deepEqual(await claimIds({ limit: 10 }), [a])
  })

  test('a job is not leased without a claim beyond the concurrency of its queue', async ({
    storage,
    configure,
    start,
    submit,
  }) => {
    await configure({ concurrency: 1 })
    await start()
    const id = await submit()
    const refused = await storage.leases.renew({ now: NOW, id, worker: 'old-client', lease: LEASE, start: true })
    assert.equal(refused.error?.code, 'job_must_wait')
  })

  test('the limit of a key holds while many workers claim, report and steer', async (fixture) => {
    await fixture.configure({ keyConcurrency: 2 })
    const keys = ['a', 'b', 'c', null]
    await fixture.submitAll(range(0, 399).map((n) => ({ concurrencyKey: keys[n % 4]!, priority: n % 3 })))
    const watch = new KeyWatch(2)
    const handles = await fixture.servers(4)
    await Promise.all(range(0, 15).map((n) => work(handles[n % 4]!, `worker-${n}`, watch)))
    assert.equal(watch.started, 400)
    assert.deepEqual(await fixture.counts(), { completed: 400 })
  })
}

/**
 * Counts, from outside, the running jobs of each key: from when a claim was answered until just before the report is
 * sent. What is counted here runs for certain, so a count above the limit is a breach of it.
 */
class KeyWatch {
  started = 0
  readonly #limit: number
  readonly #running = new Map<string, number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  begin(key: string | null): void {
    this.started++
    if (key === null) return
    const running = (this.#running.get(key) ?? 0) + 1
    this.#running.set(key, running)
    assert.ok(running <= this.#limit, `${running} jobs of key ${key} run at once; the limit is ${this.#limit}`)
  }

  end(key: string | null): void {
    if (key !== null) this.#running.set(key, this.#running.get(key)! - 1)
  }
}

/** Claims until so many jobs have started. A claim that gets none must tell to ask again at once. */
async function claimAll(claim: Fixture['claim'], count: number): Promise<number[]> {
  const ids: number[] = []
  for (let rounds = 0; ids.length < count; rounds++) {
    assert.ok(rounds < 100, `${ids.length} jobs were handed out, then no more`)
    const { jobs, nextAt } = await claim({ limit: 1_000 })
    ids.push(...jobs.map(({ id }) => id))
    assert.ok(jobs.length > 0 || (nextAt !== null && nextAt <= NOW), 'whoever gets nothing yet is told to ask again at once')
  }
  return ids
}

/** Works until the queue has nothing left; comes away empty-handed at times, as long as others still hold jobs. */
async function work({ leases, queues }: Storage, worker: string, watch: KeyWatch): Promise<void> {
  while (true) {
    const { jobs } = await leases.claim({ now: NOW, queue: QUEUE, worker, limit: 3, lease: LEASE })
    for (const { concurrencyKey } of jobs) watch.begin(concurrencyKey)
    if (jobs.length === 0) {
      const [queue] = await queues.find({ names: [QUEUE] })
      if (queue!.counts.pending === 0) return
      continue
    }
    for (const { concurrencyKey } of jobs) watch.end(concurrencyKey)
    const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome: COMPLETED, finishedAt: null, events: [] }))
    await leases.report({ now: NOW, reports })
  }
}
