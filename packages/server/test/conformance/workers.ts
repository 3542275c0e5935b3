import assert from 'node:assert/strict'
import type { Sighting } from '../../src/storage/contract/workers.ts'
import { after, type Group, NOW } from './harness.ts'

const sighting = (id: string, more: Partial<Sighting> = {}): Sighting => ({
  id,
  at: NOW,
  queues: ['emails'],
  agent: null,
  ...more,
})

export const workers: Group = (test) => {
  test('a worker is known from when it was first seen', async ({ storage }) => {
    await storage.workers.seen({ workers: [sighting('worker-1', { agent: 'octoflow-worker/0.1.0' })] })
    assert.deepEqual(await storage.workers.list({ since: 0 }), [
      {
        id: 'worker-1',
        queues: ['emails'],
        firstSeenAt: NOW,
        lastSeenAt: NOW,
        draining: false,
        agent: 'octoflow-worker/0.1.0',
      },
    ])
  })

  test('a later sighting adds to what is known', async ({ storage }) => {
    await storage.workers.seen({ workers: [sighting('worker-1', { agent: 'python/3' }), sighting('worker-2')] })
    await storage.workers.seen({ workers: [sighting('worker-1', { at: after(9), queues: ['reports', 'emails'] })] })
    await storage.workers.seen({ workers: [sighting('worker-1', { at: after(10), queues: [] })] })
    const [first] = await storage.workers.list({ since: after(10) })
    assert.deepEqual(
      { ...first!, queues: first!.queues.toSorted() },
      {
        id: 'worker-1',
        queues: ['emails', 'reports'],
        firstSeenAt: NOW,
        lastSeenAt: after(10),
        draining: false,
        agent: 'python/3',
      },
    )
  })

  test('a worker that says something new of itself is believed', async ({ storage }) => {
    await storage.workers.seen({ workers: [sighting('worker-1', { agent: 'a/1' })] })
    await storage.workers.seen({ workers: [sighting('worker-1', { agent: 'a/2', at: after(1) })] })
    assert.equal((await storage.workers.list({ since: 0 }))[0]?.agent, 'a/2')
  })

  test('a sighting that arrives late does not turn the time back', async ({ storage }) => {
    await storage.workers.seen({ workers: [sighting('worker-1', { at: after(9) })] })
    await storage.workers.seen({ workers: [sighting('worker-1', { at: after(3) })] })
    assert.equal((await storage.workers.list({ since: 0 }))[0]?.lastSeenAt, after(9))
  })

  test('two sightings of one worker in one call count both', async ({ storage }) => {
    await storage.workers.seen({
      workers: [sighting('worker-1', { queues: ['a'] }), sighting('worker-1', { queues: ['b'], at: after(1) })],
    })
    const [worker, ...others] = await storage.workers.list({ since: 0 })
    assert.deepEqual(others, [])
    assert.deepEqual([worker?.queues.toSorted(), worker?.lastSeenAt], [['a', 'b'], after(1)])
  })

  test('workers not seen since a given time are left out', async ({ storage }) => {
    const seen = [sighting('old'), sighting('new', { at: after(60) })]
    await storage.workers.seen({ workers: seen })
    const ids = async (since: number): Promise<string[]> => (await storage.workers.list({ since })).map(({ id }) => id).sort()
    assert.deepEqual(await ids(NOW), ['new', 'old'])
    assert.deepEqual(await ids(NOW + 1), ['new'])
    assert.deepEqual(await ids(after(61)), [])
  })

  test('a worker is told to drain, and not to any more', async ({ storage }) => {
    await storage.workers.seen({ workers: [sighting('worker-1'), sighting('worker-2')] })
    const draining = async (): Promise<(readonly [string, boolean])[]> =>
      (await storage.workers.list({ since: 0 })).map(({ id, draining }) => [id, draining] as const).sort()
    assert.equal(await storage.workers.setDraining({ id: 'worker-1', draining: true }), true)
    await storage.workers.seen({ workers: [sighting('worker-1', { at: after(1) })] })
    assert.deepEqual(await draining(), [
      ['worker-1', true],
      ['worker-2', false],
    ])
    assert.equal(await storage.workers.setDraining({ id: 'worker-1', draining: false }), true)
    assert.deepEqual((await draining())[0], ['worker-1', false])
  })

  test('an unknown worker cannot be told to drain', async ({ storage }) => {
    assert.equal(await storage.workers.setDraining({ id: 'nobody', draining: true }), false)
    assert.deepEqual(await storage.workers.list({ since: 0 }), [])
  })
}
