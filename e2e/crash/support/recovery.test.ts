import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recovery } from './recovery.ts'

/** Times, a tenth of a second apart. */
const steadily = (from: number, to: number): readonly number[] =>
  Array.from({ length: (to - from) / 100 }, (_, index) => from + index * 100)

const OUTAGE = { from: 10_000, to: 11_000 }

test('What goes on at once when an outage is over has recovered at once.', () => {
  const completedAt = [...steadily(0, 10_000), ...steadily(11_000, 20_000)]
  assert.deepEqual(recovery(completedAt, 0, [OUTAGE]), { perSecond: 10, recoverySeconds: [0] })
})

test('Little by little is not recovered; what counts is when it is as fast as before.', () => {
  const completedAt = [...steadily(0, 10_000), 11_000, 12_000, 13_000, ...steadily(14_000, 20_000)]
  const { recoverySeconds } = recovery(completedAt, 0, [OUTAGE])
  // The second that begins 0.3 s earlier has seven of ten.
  assert.deepEqual(recoverySeconds, [2.7])
})

test('What never is as fast again has not recovered.', () => {
  assert.deepEqual(recovery([...steadily(0, 10_000), 11_000, 15_000], 0, [OUTAGE]).recoverySeconds, [Infinity])
})
