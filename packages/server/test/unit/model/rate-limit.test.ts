import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Instant, MINUTE, SECOND } from '../../../src/lib/time.ts'
import {
  availability,
  type RateLimit,
  sliceLength,
  sliceStart,
  type UsedSlice,
  windowStart,
} from '../../../src/model/rate-limit.ts'
import { Random } from '../../conformance/random.ts'

const LIMIT: RateLimit = { limit: 3, period: MINUTE }

/** Counts starts as a driver does: in slices, of which only those within the window are read. */
class Counter {
  readonly starts: Instant[] = []
  readonly #limit: RateLimit
  readonly #slices = new Map<Instant, number>()

  constructor(limit: RateLimit) {
    this.#limit = limit
  }

  read(now: Instant): ReturnType<typeof availability> {
    const from = windowStart(this.#limit, now)
    const slices: UsedSlice[] = [...this.#slices]
      .filter(([start]) => start >= from)
      .sort(([a], [b]) => a - b)
      .map(([start, used]) => ({ start, used }))
    return availability(this.#limit, slices, now)
  }

  start(now: Instant, count: number): void {
    const slice = sliceStart(this.#limit, now)
    this.#slices.set(slice, (this.#slices.get(slice) ?? 0) + count)
    for (let n = 0; n < count; n++) this.starts.push(now)
  }
}

const mostInAnyPeriod = (starts: readonly Instant[], period: number): number =>
  Math.max(...starts.map((start, index) => starts.slice(index).filter((other) => other < start + period).length))

describe('a rate limit', () => {
  test('lets as many start as its limit', () => {
    const counter = new Counter(LIMIT)
    assert.deepEqual(counter.read(0), { free: 3, nextAt: null })
    counter.start(0, 2)
    assert.deepEqual(counter.read(0), { free: 1, nextAt: null })
  })

  test('tells when the next may start, and that is so', () => {
    const counter = new Counter(LIMIT)
    counter.start(10 * SECOND, 3)
    const { free, nextAt } = counter.read(30 * SECOND)
    assert.equal(free, 0)
    assert.ok(nextAt !== null && nextAt >= 70 * SECOND && nextAt <= 70 * SECOND + sliceLength(LIMIT))
    assert.equal(counter.read(nextAt - 1).free, 0)
    assert.ok(counter.read(nextAt).free > 0)
  })

  test('that was lowered waits until enough starts have left the window', () => {
    const counter = new Counter(LIMIT)
    for (const second of [0, 10, 20]) counter.start(second * SECOND, 1)
    const lowered = { ...LIMIT, limit: 1 }
    const slices = [0, 9, 18].map((start) => ({ start: start * SECOND, used: 1 }))
    const { free, nextAt } = availability(lowered, slices, 30 * SECOND)
    assert.deepEqual([free, nextAt], [0, 18 * SECOND + sliceLength(lowered) + MINUTE])
  })

  test('counts in slices that tile the time', () => {
    for (const period of [1, 2, 19, 20, 21, 50_000, SECOND + 1, 2_592_000 * SECOND]) {
      const limit = { limit: 1, period }
      const length = sliceLength(limit)
      assert.ok(Number.isInteger(length) && length >= 1 && length <= period / 20 + 1)
      const now = 1_773_480_413_589_793
      const start = sliceStart(limit, now)
      assert.ok(start <= now && now < start + length)
      assert.equal(sliceStart(limit, start), start)
      assert.equal(sliceStart(limit, start + length), start + length)
    }
  })

  test('reads every slice that still counts', () => {
    const random = new Random(11)
    for (let round = 0; round < 2_000; round++) {
      const limit = { limit: 1, period: random.between(1, 100_000) }
      const then = random.between(0, 10_000_000)
      const now = then + random.between(0, 3 * limit.period)
      const slice = { start: sliceStart(limit, then), used: 1 }
      if (availability(limit, [slice], now).free === 0) assert.ok(slice.start >= windowStart(limit, now))
    }
  })

  for (const [title, burst] of [
    ['one by one', 1],
    ['in bursts', 20],
  ] as const) {
    test(`holds in every period, whenever jobs start ${title}`, () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new Random(seed)
        const limit = { limit: random.between(1, 15), period: random.pick([1, 7, 20, 1_000, 60_007, SECOND]) }
        const counter = new Counter(limit)
        let now = random.between(0, 1_000_000_000)
        for (let claim = 0; claim < 300; claim++) {
          const { free, nextAt } = counter.read(now)
          assert.equal(nextAt === null, free > 0)
          counter.start(now, Math.min(free, random.between(0, burst)))
          if (nextAt !== null && random.chance(0.5)) now = nextAt
          else now += random.between(0, Math.ceil(limit.period / random.pick([1, 5, 40])))
        }
        const most = mostInAnyPeriod(counter.starts, limit.period)
        assert.ok(most <= limit.limit, `${most} starts in a period of ${limit.period}, limit ${limit.limit}, seed ${seed}`)
        assert.ok(counter.starts.length > limit.limit, 'there was progress')
      }
    })
  }

  test('has a start wait no more than a twentieth of the period longer than an exact count would', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed)
      const limit = { limit: random.between(1, 10), period: random.pick([1_000, 60_007, SECOND]) }
      const counter = new Counter(limit)
      let now = random.between(0, 1_000_000_000)
      for (let start = 0; start < 200; start++) {
        const { free, nextAt } = counter.read(now)
        const exact = Math.max(now, (counter.starts.at(-limit.limit) ?? Number.NEGATIVE_INFINITY) + limit.period)
        const allowed = free > 0 ? now : nextAt!
        assert.ok(allowed >= exact && allowed <= exact + sliceLength(limit))
        now = allowed
        counter.start(now, 1)
        now += random.between(0, Math.ceil(limit.period / limit.limit))
      }
    }
  })

  test('does not count what was started before the clock was stepped back by more than a period', () => {
    const stepped: UsedSlice[] = [{ start: 3_600 * SECOND, used: 3 }]
    assert.equal(availability(LIMIT, stepped, 0).free, 3)
    const skewed: UsedSlice[] = [{ start: 3 * SECOND, used: 3 }]
    assert.equal(availability(LIMIT, skewed, SECOND).free, 0, 'a clock that runs a little ahead is another server’s')
  })
})
