import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Backoff, backoffDelay, DEFAULT_BACKOFF } from '../../../src/lib/backoff.ts'
import { HOUR, SECOND } from '../../../src/lib/time.ts'
import { Random } from '../../conformance/random.ts'

const PLAIN: Backoff = { base: 5 * SECOND, factor: 2, max: HOUR, jitter: 0 }

const delays = (backoff: Backoff, count: number): number[] =>
  Array.from({ length: count }, (_, index) => backoffDelay(backoff, index + 1, 0.5) / SECOND)

describe('backoffDelay', () => {
  test('grows by its factor from its base to its maximum', () => {
    assert.deepEqual(delays(PLAIN, 12), [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600])
  })

  test('a factor of 1 keeps all waits equal', () => {
    assert.deepEqual(delays({ ...PLAIN, factor: 1 }, 4), [5, 5, 5, 5])
  })

  test('a maximum below the base holds from the first wait', () => {
    assert.deepEqual(delays({ ...PLAIN, max: 2 * SECOND }, 3), [2, 2, 2])
  })

  test('jitter spreads a wait to both sides, and the middle is as planned', () => {
    const backoff = { ...PLAIN, jitter: 0.2 }
    assert.equal(backoffDelay(backoff, 1, 0), 4 * SECOND)
    assert.equal(backoffDelay(backoff, 1, 0.5), 5 * SECOND)
    assert.equal(backoffDelay(backoff, 1, 1), 6 * SECOND)
  })

  test('no wait is longer than the maximum, jitter included', () => {
    assert.equal(backoffDelay({ ...PLAIN, jitter: 1 }, 40, 1), HOUR)
    assert.equal(backoffDelay({ ...PLAIN, jitter: 1 }, 40, 0), 0)
  })

  test('however many failures, whatever the settings, a wait is a whole number in its bounds', () => {
    const random = new Random(3)
    for (let round = 0; round < 5_000; round++) {
      const backoff = {
        base: random.pick([0, 1, 333, SECOND, 86_400 * SECOND]),
        factor: random.pick([1, 1.3, 2, 10]),
        max: random.pick([0, SECOND, 2_592_000 * SECOND]),
        jitter: random.pick([0, 0.2, 1]),
      }
      const delay = backoffDelay(backoff, random.pick([1, 2, 10, 400, 1_000]), random.next())
      assert.ok(Number.isSafeInteger(delay) && delay >= 0 && delay <= backoff.max, `${delay} for ${JSON.stringify(backoff)}`)
    }
  })

  test('a base of nothing stays nothing after a thousand failures', () => {
    assert.equal(backoffDelay({ base: 0, factor: 10, max: HOUR, jitter: 0.2 }, 1_000, 0.7), 0)
  })

  test('the default waits from seconds to an hour', () => {
    assert.equal(backoffDelay(DEFAULT_BACKOFF, 1, 0.5), 5 * SECOND)
    assert.equal(backoffDelay(DEFAULT_BACKOFF, 100, 0.5), HOUR)
  })
})
