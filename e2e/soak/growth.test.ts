import assert from 'node:assert/strict'
import { test } from 'node:test'
import { growth, type Measurement } from './growth.ts'

const MEBI = 2 ** 20

const STEADY: Measurement = { file: 20 * MEBI, keys: 1_000, serverMemory: 120 * MEBI, workerMemory: 100 * MEBI }

/** Nine rounds, of which each differs from the one before by `step`. */
const rounds = (step: (round: number) => Partial<Measurement>): readonly Measurement[] =>
  Array.from({ length: 9 }, (_, round) => ({ ...STEADY, ...step(round) }))

test('What stays as it is does not grow.', () => {
  assert.deepEqual(growth(rounds(() => ({}))), [])
})

test('Each thing that grows from round to round is named.', () => {
  assert.deepEqual(growth(rounds((round) => ({ file: (20 + 5 * round) * MEBI }))), ['the database file'])
  assert.deepEqual(growth(rounds((round) => ({ serverMemory: (120 + 20 * round) * MEBI }))), ['the memory of the server'])
  assert.deepEqual(growth(rounds((round) => ({ workerMemory: (100 + 20 * round) * MEBI }))), ['the memory of the worker'])
})

test('A file that grows by what it has to remember does not count.', () => {
  const remembering = rounds((round) => ({ file: 20 * MEBI + round * 10_000 * 400, keys: round * 10_000 }))
  assert.deepEqual(growth(remembering), [])
})

test('One round that stands out does not count.', () => {
  assert.deepEqual(growth(rounds((round) => (round === 7 ? { file: 90 * MEBI, serverMemory: 900 * MEBI } : {}))), [])
})
