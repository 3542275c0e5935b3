import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { SystemClock } from '../../../src/lib/clock.ts'
import { DAY, HOUR, MILLISECOND, SECOND } from '../../../src/lib/time.ts'

/** A time of day that a test can step, and that else goes on as the real one does. */
class SteppedTime {
  step = 0
  readonly read = (): number => performance.timeOrigin + performance.now() + this.step
}

/** Reading two clocks one after the other takes some time, on a busy machine quite some. */
const NOISE = 0.5 * SECOND

const isAbout = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < NOISE, `${actual} is about ${expected}`)

describe('SystemClock', () => {
  test('tells the time of day in whole microseconds', () => {
    const now = new SystemClock().now()
    assert.ok(Number.isSafeInteger(now))
    isAbout(now, Date.now() * MILLISECOND)
  })

  test('never goes back', () => {
    const clock = new SystemClock()
    let last = clock.now()
    for (let round = 0; round < 10_000; round++) {
      const now = clock.now()
      assert.ok(now >= last)
      last = now
    }
  })

  for (const step of [HOUR / MILLISECOND, -HOUR / MILLISECOND]) {
    test(`goes on as before when the time of day is stepped by ${step} ms, until it adopts that`, () => {
      const time = new SteppedTime()
      const clock = new SystemClock(time.read)
      const before = clock.now()
      isAbout(clock.drift(), 0)
      time.step = step
      isAbout(clock.now(), before)
      isAbout(clock.drift(), step * MILLISECOND)
      clock.adopt()
      isAbout(clock.now(), before + step * MILLISECOND)
      isAbout(clock.drift(), 0)
    })
  }

  test('calls back once, when the time has come', async () => {
    const clock = new SystemClock()
    const begin = performance.now()
    let calls = 0
    await new Promise<void>((resolve) => {
      clock.after(20 * MILLISECOND, () => {
        calls++
        resolve()
      })
    })
    assert.ok(performance.now() - begin >= 19)
    assert.equal(calls, 1)
  })
})

describe('the timers of SystemClock', () => {
  function withTimers(body: (clock: SystemClock, pass: (milliseconds: number) => void) => void): () => void {
    return () => {
      mock.timers.enable({ apis: ['setTimeout'] })
      try {
        body(new SystemClock(), (milliseconds) => mock.timers.tick(milliseconds))
      } finally {
        mock.timers.reset()
      }
    }
  }

  test(
    'fire not before their time, and once',
    withTimers((clock, pass) => {
      const callback = mock.fn()
      clock.after(1_500, callback)
      pass(1)
      assert.equal(callback.mock.callCount(), 0, '1.5 ms have not passed')
      pass(1)
      assert.equal(callback.mock.callCount(), 1)
      pass(1_000)
      assert.equal(callback.mock.callCount(), 1)
    }),
  )

  test(
    'fire at the next opportunity where the time has passed',
    withTimers((clock, pass) => {
      const callback = mock.fn()
      clock.after(-5 * SECOND, callback)
      clock.after(0, callback)
      assert.equal(callback.mock.callCount(), 0)
      pass(1)
      assert.equal(callback.mock.callCount(), 2)
    }),
  )

  test(
    'may run for longer than the platform’s timers can',
    withTimers((clock, pass) => {
      const callback = mock.fn()
      clock.after(100 * DAY, callback)
      for (let hours = 0; hours < 2_400; hours++) {
        assert.equal(callback.mock.callCount(), 0, `after ${hours} hours`)
        pass(HOUR / MILLISECOND)
      }
      // What it is made of begins each time at the full hour.
      pass((5 * HOUR) / MILLISECOND)
      assert.equal(callback.mock.callCount(), 1)
    }),
  )

  test(
    'do not fire once they are cancelled, also late in a long run',
    withTimers((clock, pass) => {
      const callback = mock.fn()
      const cancel = clock.after(10 * MILLISECOND, callback)
      const cancelLong = clock.after(60 * DAY, callback)
      cancel()
      cancel()
      pass((40 * DAY) / MILLISECOND)
      cancelLong()
      pass((40 * DAY) / MILLISECOND)
      assert.equal(callback.mock.callCount(), 0)
    }),
  )
})
