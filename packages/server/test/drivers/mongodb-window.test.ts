import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Window } from '../../src/storage/drivers/mongodb/window.ts'
import { range } from '../conformance/harness.ts'

interface Numbered {
  readonly _id: number
}

const ALL = { matches: () => true, compare: (a: Numbered, b: Numbered): number => a._id - b._id }

const documents = (from: number, to: number): Numbered[] => range(from, to).map((_id) => ({ _id }))
const changed = (of: readonly Numbered[]): Map<number, Numbered> => new Map(of.map((document) => [document._id, document]))
const NOTHING = new Map<number, Numbered | null>()

test('A window that holds all there are takes in what is added.', () => {
  const window = new Window(ALL, documents(1, 3), true)
  window.update(changed(documents(4, 6)))
  assert.deepEqual(window.all(NOTHING), documents(1, 6))
  assert.deepEqual(window.first(10, NOTHING), documents(1, 6))
})

test('A window that does not tells what it has, and of what comes behind nothing.', () => {
  const window = new Window(ALL, documents(1, 3), false)
  window.update(changed(documents(4, 6)))
  assert.deepEqual(window.first(3, NOTHING), documents(1, 3))
  assert.equal(window.first(4, NOTHING), null)
  assert.equal(window.all(NOTHING), null)
})

test('A window does not grow without end while nobody takes anything out of it.', () => {
  const window = new Window(ALL, [], true)
  for (let at = 0; at < 10_000; at += 1_000) window.update(changed(documents(at + 1, at + 1_000)))
  assert.deepEqual(window.first(5_000, NOTHING), documents(1, 5_000))
  assert.equal(window.first(5_001, NOTHING), null)
})
