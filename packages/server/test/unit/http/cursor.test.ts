import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOctoflowError } from '../../../src/errors/octoflow-error.ts'
import { NamePaging, Paging } from '../../../src/http/cursor.ts'

const refused = (error: unknown): boolean => isOctoflowError(error, 'invalid_cursor')

const cursorOf = (paging: Paging, position: number, order: 'asc' | 'desc' = 'desc'): string =>
  paging.next({ items: [], next: position }, { limit: 1, order, after: null })!

test('Without a cursor a list begins with the newest fifty.', () => {
  assert.deepEqual(new Paging('jobs').request({}), { limit: 50, order: 'desc', after: null })
})

test('A cursor leads on to where its page ended, whatever the limit of the next.', () => {
  const paging = new Paging('jobs', { queue: 'a' })
  for (const position of [0, 1, Number.MAX_SAFE_INTEGER])
    for (const order of ['asc', 'desc'] as const)
      assert.deepEqual(paging.request({ limit: 7, order, cursor: cursorOf(paging, position, order) }), {
        limit: 7,
        order,
        after: position,
      })
})

test('A cursor holds any name.', () => {
  const paging = new NamePaging('queues')
  for (const after of ['a', '.', 'a.b.c', '…', '😀', 'x'.repeat(256), '😀'.repeat(256)]) {
    const cursor = paging.next({ items: [], next: after }, { limit: 1, order: 'asc', after: null })!
    assert.equal(paging.request({ order: 'asc', cursor }).after, after)
    assert.ok(cursor.length <= 2_048, 'a query parameter may hold it')
    assert.throws(() => new NamePaging('workers').request({ order: 'asc', cursor }), refused)
  }
  const beginning = Buffer.from(paging.next({ items: [], next: 'a' }, { limit: 1, order: 'asc', after: null })!, 'base64url')
  const empty = beginning.subarray(0, -1).toString('base64url')
  assert.throws(() => paging.request({ order: 'asc', cursor: empty }), refused)
})

test('At the end there is no cursor.', () => {
  assert.equal(new Paging('jobs').next({ items: [1], next: null }, { limit: 1, order: 'asc', after: null }), null)
})

test('A cursor belongs to its list, its filters and its order.', () => {
  const cursor = cursorOf(new Paging('jobs', { queue: 'a', state: 'dead' }), 5)
  assert.equal(
    new Paging('jobs', { state: 'dead', queue: 'a' }).request({ cursor }).after,
    5,
    'in whatever order they are given',
  )
  for (const paging of [
    new Paging('requests', { queue: 'a', state: 'dead' }),
    new Paging('jobs', { queue: 'b', state: 'dead' }),
    new Paging('jobs', { queue: 'dead', state: 'a' }),
    new Paging('jobs', { queue: 'a' }),
    new Paging('jobs'),
  ])
    assert.throws(() => paging.request({ cursor }), refused)
  assert.throws(() => new Paging('jobs', { queue: 'a', state: 'dead' }).request({ cursor, order: 'asc' }), refused)
})

test('A cursor that was made by hand is refused.', () => {
  const paging = new Paging('jobs')
  const good = Buffer.from(cursorOf(paging, 5), 'base64url').toString()
  for (const text of [
    '',
    '5',
    good.replace(/5$/, ''),
    good.replace(/5$/, '-5'),
    good.replace(/5$/, '5.5'),
    good.replace(/5$/, '1e3'),
    good.replace(/5$/, '9'.repeat(16)),
    `${good}.5`,
    good.replace('.desc.', '.asc.'),
    good.replace('.desc.', '.__proto__.'),
  ])
    assert.throws(() => paging.request({ cursor: Buffer.from(text).toString('base64url') }), refused, text)
})
