import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DEFAULT_BACKOFF } from '../../../src/lib/backoff.ts'
import { retryPolicy } from '../../../src/model/queue.ts'
import { isAlive, WORKER_GONE_AFTER } from '../../../src/model/worker.ts'

describe('the retry policy of a job', () => {
  const own = { base: 1, factor: 1, max: 1, jitter: 0 }
  const ofQueue = { base: 2, factor: 1, max: 2, jitter: 0 }

  test('is its own, else its queue’s, else the default, each setting for itself', () => {
    const none = { maxAttempts: null, backoff: null }
    assert.deepEqual(retryPolicy(none, none), { maxAttempts: 3, backoff: DEFAULT_BACKOFF })
    assert.deepEqual(retryPolicy(none, { maxAttempts: 7, backoff: ofQueue }), { maxAttempts: 7, backoff: ofQueue })
    assert.deepEqual(retryPolicy({ maxAttempts: 1, backoff: own }, { maxAttempts: 7, backoff: ofQueue }), {
      maxAttempts: 1,
      backoff: own,
    })
    assert.deepEqual(retryPolicy({ maxAttempts: null, backoff: own }, { maxAttempts: 7, backoff: null }), {
      maxAttempts: 7,
      backoff: own,
    })
  })
})

describe('a worker', () => {
  const worker = { id: 'w', queues: [], firstSeenAt: 0, lastSeenAt: 1_000, draining: false, agent: null }

  test('is taken for gone when it was not heard of for long enough', () => {
    assert.equal(isAlive(worker, 1_000), true)
    assert.equal(isAlive(worker, 1_000 + WORKER_GONE_AFTER - 1), true)
    assert.equal(isAlive(worker, 1_000 + WORKER_GONE_AFTER), false)
  })
})
