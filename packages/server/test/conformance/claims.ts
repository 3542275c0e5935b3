import assert from 'node:assert/strict'
import { deadlineOf } from '../../src/model/settle.ts'
import { after, COMPLETED, type Group, LEASE, NOW, newRequest, QUEUE, RELEASED, range } from './harness.ts'

export const claims: Group = (test) => {
  test('a claim carries all that a worker needs', async ({ submit, claimOne }) => {
    const cameInAs = {
      sourceIp: '192.0.2.9',
      userAgent: 'curl/8.9',
      method: 'PUT',
      url: '/request',
      headers: { 'x-signature': 'abc' },
      contentType: 'text/csv',
    }
    const settings = {
      priority: 3,
      maxAttempts: 4,
      concurrencyKey: 'customer-7',
      timeout: 5_000_000,
      labels: { customer: '7' },
    }
    const id = await submit({ source: 'capture', body: '"a;b"', ...cameInAs, ...settings })
    const job = await claimOne({ now: after(2), lease: LEASE })
    const { request } = job
    const leaseUntil = deadlineOf(after(2), settings.timeout)
    assert.partialDeepStrictEqual(job, {
      id,
      fence: 1,
      leaseUntil,
      attempt: 1,
      createdAt: NOW,
      runAt: NOW,
      payload: '"a;b"',
      ...settings,
    })
    for (const [name, value] of Object.entries(cameInAs)) assert.deepEqual(request[name as keyof typeof cameInAs], value, name)
  })

  test('a claim of large payloads ends before its answer is too large to be built', async ({ submitAll, claim, counts }) => {
    const body = JSON.stringify('x'.repeat(1_000_000))
    await submitAll(range(1, 20).map(() => ({ body })))
    const { jobs } = await claim({ limit: 20 })
    assert.equal(jobs.length, 17, 'the 17th reaches the limit of 16 MiB')
    assert.deepEqual(await counts(), { ready: 3, running: 17 }, 'what was not handed out is not leased')
    assert.equal((await claim({ limit: 20 })).jobs.length, 3)
  })

  test('a claim asked for together with a submit hands out payloads as they are, large ones too', async ({
    storage,
    claim,
  }) => {
    const body = JSON.stringify('x'.repeat(100_000))
    const [, { jobs: early }] = await Promise.all([
      storage.requests.submit({ now: NOW, items: [newRequest({ body }), newRequest({ body: '1' })] }),
      claim({ limit: 2 }),
    ])
    const { jobs: late } = await claim({ limit: 2 })
    assert.deepEqual(
      [...early, ...late].map(({ payload }) => payload),
      [body, '1'],
    )
  })

  test('an attempt begins without the progress of the one before', async ({ storage, start, report, claimOne, job }) => {
    const held = await start()
    const beats = [{ id: held.id, fence: held.fence, lease: LEASE, progress: { fraction: 0.9, message: 'almost' } }]
    await storage.leases.heartbeat({ now: after(1), beats })
    await report(held, RELEASED)
    await claimOne()
    assert.equal((await job(held.id)).progress, null)
  })

  test('a claimed job runs under a lease of its worker', async ({ start, job, counts }) => {
    const { id } = await start({}, { worker: 'worker-9', now: after(1) })
    const { state, startedAt, leaseUntil, worker, attempt, fence, finishedAt } = await job(id)
    assert.deepEqual(
      { state, startedAt, leaseUntil, worker, attempt, fence, finishedAt },
      {
        state: 'running',
        startedAt: after(1),
        leaseUntil: after(1) + LEASE,
        worker: 'worker-9',
        attempt: 1,
        fence: 1,
        finishedAt: null,
      },
    )
    assert.deepEqual(await counts(), { running: 1 })
  })

  test('the attempt limit comes from the job, else from its queue, else from the default', async ({
    submitAll,
    claim,
    configure,
  }) => {
    await submitAll([{ maxAttempts: 9 }, {}])
    await configure({ maxAttempts: 5 })
    await submitAll([{ queue: 'plain' }])
    const limits = async (queue: string): Promise<number[]> =>
      (await claim({ queue, limit: 2 })).jobs.map(({ maxAttempts }) => maxAttempts)
    assert.deepEqual(await limits(QUEUE), [9, 5])
    assert.deepEqual(await limits('plain'), [3])
  })

  test('jobs are handed out by priority, and the oldest first within one', async ({ submitAll, claimIds }) => {
    const ids = await submitAll([5, 9, 0, 5, 0, 9, 7].map((priority) => ({ priority })))
    const expected = [2, 4, 0, 3, 6, 1, 5].map((index) => ids[index]!)
    const claimed = [...(await claimIds({ limit: 3 })), ...(await claimIds({ limit: 1 })), ...(await claimIds({ limit: 10 }))]
    assert.deepEqual(claimed, expected)
  })

  test('a claim takes no more than its limit and leaves other queues alone', async ({ submitAll, claimIds, counts }) => {
    await submitAll([{}, {}, {}, { queue: 'reports' }])
    assert.equal((await claimIds({ limit: 2 })).length, 2)
    assert.deepEqual(await counts(), { ready: 1, running: 2 })
    assert.deepEqual(await counts('reports'), { ready: 1 })
  })

  test('a claim of an empty or an unknown queue finds nothing, now or later', async ({ claim, start, report }) => {
    assert.deepEqual(await claim({ queue: 'unknown' }), { jobs: [], nextAt: null })
    await report(await start(), COMPLETED)
    assert.deepEqual(await claim(), { jobs: [], nextAt: null })
  })

  test('each attempt has a higher fence than the one before', async ({ start, report, claimOne }) => {
    const first = await start()
    await report(first, RELEASED)
    const second = await claimOne()
    await report(second, RELEASED)
    const third = await claimOne()
    assert.deepEqual([first.fence, second.fence, third.fence], [1, 2, 3])
  })

  test('concurrent claims never share a job and together get them all', async ({ submitAll, servers }) => {
    const ids = await submitAll(range(1, 300).map((n) => ({ priority: n % 10 })))
    const handles = await servers(4)
    const claimant = async (n: number): Promise<number[]> => {
      const got: number[] = []
      while (true) {
        const claim = { now: NOW, queue: QUEUE, worker: `worker-${n}`, limit: 1 + (n % 5), lease: LEASE }
        const { jobs } = await handles[n % 4]!.leases.claim(claim)
        if (jobs.length === 0) return got
        got.push(...jobs.map(({ id }) => id))
      }
    }
    const got = (await Promise.all(range(0, 19).map(claimant))).flat()
    assert.deepEqual(
      got.sort((a, b) => a - b),
      ids,
    )
  })

  test('a delayed job is not handed out before its time, to the microsecond', async ({ submit, claim, claimIds, counts }) => {
    const runAt = after(60)
    const id = await submit({ runAt })
    assert.deepEqual(await counts(), { scheduled: 1 })
    assert.deepEqual(await claim({ now: runAt - 1 }), { jobs: [], nextAt: runAt })
    assert.deepEqual(await claimIds({ now: runAt }), [id])
    assert.deepEqual(await counts(), { running: 1 })
  })

  test('a time that has passed is no delay', async ({ submit, claimIds, job }) => {
    const id = await submit({ runAt: after(-60) })
    assert.deepEqual(await claimIds(), [id])
    assert.equal((await job(id)).runAt, after(-60))
  })

  test('the next time is that of the earliest delayed job', async ({ submitAll, claim }) => {
    await submitAll([{ runAt: after(300) }, { runAt: after(60) }, { runAt: after(120) }, { queue: 'reports', runAt: after(1) }])
    assert.equal((await claim()).nextAt, after(60))
    assert.equal((await claim({ now: after(60) })).jobs.length, 1)
    assert.equal((await claim({ now: after(60) })).nextAt, after(120))
  })

  test('a claim that gets fewer jobs than it asked for learns when the next is due', async ({ submitAll, claim }) => {
    await submitAll([{}, { runAt: after(60) }])
    const { jobs, nextAt } = await claim({ limit: 2 })
    assert.equal(jobs.length, 1)
    assert.equal(nextAt, after(60))
  })

  test('delayed jobs that are due go by priority and age, not by their times', async ({ submitAll, claimIds }) => {
    const [a, b, c, d] = await submitAll([{ runAt: after(3) }, { runAt: after(1) }, { runAt: after(2), priority: 0 }, {}])
    assert.deepEqual(await claimIds({ now: after(3), limit: 10 }), [c, a, b, d])
  })

  test('however many delayed jobs come due at once, all are handed out', async ({ submitAll, claim, counts }) => {
    const wishes = range(1, 2_500).map((n) => ({ runAt: after(1 + (n % 7)) }))
    await submitAll(wishes)
    let got = 0
    for (let rounds = 0; got < wishes.length; rounds++) {
      assert.ok(rounds < 50, `${got} jobs were handed out, then no more`)
      got += (await claim({ now: after(10), limit: 100 })).jobs.length
    }
    assert.deepEqual(await counts(), { running: 2_500 })
  })

  test('a paused queue hands out nothing until it is resumed', async ({ submit, submitAll, configure, claim, claimIds }) => {
    const id = await submit()
    await submitAll([{ runAt: after(60) }])
    await configure({ paused: true })
    assert.deepEqual(await claim(), { jobs: [], nextAt: null })
    await configure({ paused: false })
    assert.deepEqual(await claimIds(), [id])
  })

  test('pausing leaves running jobs alone', async ({ start, configure, report }) => {
    const held = await start()
    await configure({ paused: true })
    assert.equal(await report(held, COMPLETED), 'completed')
  })

  test('no more jobs of a queue run than its concurrency allows', async ({ submitAll, configure, claim, claimOne, report }) => {
    await submitAll(range(1, 10).map(() => ({})))
    await configure({ concurrency: 3 })
    const { jobs } = await claim({ limit: 10 })
    assert.equal(jobs.length, 3)
    assert.equal((await claim({ limit: 10 })).jobs.length, 0)
    await report(jobs[0]!, COMPLETED)
    await report(jobs[1]!, RELEASED)
    assert.equal((await claim({ limit: 10 })).jobs.length, 2)

    await configure({ concurrency: 1 })
    await report(jobs[2]!, COMPLETED)
    assert.equal((await claim({ limit: 10 })).jobs.length, 0, 'two still run')
    await configure({ concurrency: 4 })
    assert.equal((await claim({ limit: 10 })).jobs.length, 2)
    await configure({ concurrency: null })
    await claimOne()
  })

  test('the concurrency of a queue holds under concurrent claims', async ({ submitAll, configure, servers }) => {
    await submitAll(range(1, 50).map(() => ({})))
    await configure({ concurrency: 7 })
    const handles = await servers(4)
    const claims = await Promise.all(
      range(0, 19).map((n) =>
        handles[n % 4]!.leases.claim({ now: NOW, queue: QUEUE, worker: `w${n}`, limit: 2, lease: LEASE }),
      ),
    )
    assert.equal(claims.flatMap(({ jobs }) => jobs).length, 7)
  })
}
