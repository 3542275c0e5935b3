import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { editDistance, nearest } from '../../../src/lib/nearest.ts'
import { Random } from '../../conformance/random.ts'

describe('editDistance', () => {
  const distances: readonly (readonly [string, string, number])[] = [
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', 'abc', 0],
    ['abc', 'abd', 1],
    ['abc', 'ab', 1],
    ['abc', 'xabc', 1],
    ['abc', 'acb', 1],
    ['abcd', 'badc', 2],
    ['kitten', 'sitting', 3],
    ['ca', 'abc', 3],
  ]
  for (const [a, b, distance] of distances)
    test(`of ${JSON.stringify(a)} and ${JSON.stringify(b)} is ${distance}, either way`, () => {
      assert.equal(editDistance(a, b), distance)
      assert.equal(editDistance(b, a), distance)
    })

  test('one mistake is one, wherever it is made', () => {
    const random = new Random(5)
    for (let round = 0; round < 500; round++) {
      const word = Array.from({ length: random.between(2, 12) }, () => random.pick([...'abcdef'])).join('')
      const place = random.between(0, word.length - 1)
      assert.equal(editDistance(word, word.slice(0, place) + word.slice(place + 1)), 1)
      assert.equal(editDistance(word, `${word.slice(0, place)}z${word.slice(place)}`), 1)
      assert.equal(editDistance(word, `${word.slice(0, place)}z${word.slice(place + 1)}`), 1)
    }
  })
})

describe('nearest', () => {
  const names = ['server.port', 'server.host', 'paths.data', 'id']

  test('finds what a mistyped word most likely meant', () => {
    assert.equal(nearest('server.prot', names), 'server.port')
    assert.equal(nearest('servr.hosst', names), 'server.host')
    assert.equal(nearest('path.data', names), 'paths.data')
  })

  test('does not mind case', () => {
    assert.equal(nearest('SERVER.PORT', names), 'server.port')
    assert.equal(nearest('queuename', ['queueName', 'name']), 'queueName')
  })

  test('takes the nearest of several, and the first of equals', () => {
    assert.equal(nearest('cat', ['cart', 'cat', 'car']), 'cat')
    assert.equal(nearest('cot', ['cat', 'cut']), 'cat')
  })

  test('suggests nothing where nothing is near', () => {
    assert.equal(nearest('logging.level', names), null)
    assert.equal(nearest('anything', []), null)
    assert.equal(nearest('', names), null)
  })

  test('does not suggest a short word that has no letter in common', () => {
    assert.equal(nearest('xy', names), null)
    assert.equal(nearest('a', ['b', 'ab']), null)
    assert.equal(nearest('ie', names), 'id')
  })

  test('forgives more in a long word', () => {
    assert.equal(nearest('handlers.concurency_limt', ['handlers.concurrency.limit']), 'handlers.concurrency.limit')
  })
})

test('The worker SDK, which stands on nothing of the server, suggests by a copy.', () => {
  const textOf = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  assert.equal(textOf('../../../../worker/src/nearest.ts'), textOf('../../../src/lib/nearest.ts'))
})
