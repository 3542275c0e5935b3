import assert from 'node:assert/strict'
import type { Leadership } from '../../src/storage/contract/leader.ts'
import { after, type Fixture, type Group, range } from './harness.ts'

export const leadership: Group = (test) => {
  test('the first who asks leads, and others do not while the lease lasts', async ({ storage }) => {
    const { leader, term } = await acquire(storage, 'a', 0)
    assert.equal(leader, true)
    assert.deepEqual(await acquire(storage, 'b', 5), { leader: false, term })
    assert.deepEqual(await acquire(storage, 'a', 9.999), { leader: true, term })
  })

  test('a renewed lease lasts longer, in the same term', async ({ storage }) => {
    const { term } = await acquire(storage, 'a', 0)
    assert.deepEqual(await acquire(storage, 'a', 8), { leader: true, term })
    assert.deepEqual(await acquire(storage, 'b', 17.999), { leader: false, term })
    assert.equal((await acquire(storage, 'b', 18)).leader, true)
  })

  test('whoever comes after the lease has run out leads, in a later term', async ({ storage }) => {
    const first = await acquire(storage, 'a', 0)
    const second = await acquire(storage, 'b', 10)
    assert.equal(second.leader, true)
    assert.ok(second.term > first.term)
    assert.deepEqual(await acquire(storage, 'a', 11), { leader: false, term: second.term })
    const third = await acquire(storage, 'a', 20)
    assert.equal(third.leader, true)
    assert.ok(third.term > second.term)
  })

  test('who resigns makes way at once', async ({ storage }) => {
    const first = await acquire(storage, 'a', 0)
    await storage.leader.resign({ holder: 'a' })
    const second = await acquire(storage, 'b', 1)
    assert.equal(second.leader, true)
    assert.ok(second.term > first.term, 'the term rises')
  })

  test('only who leads can resign', async ({ storage }) => {
    await acquire(storage, 'a', 0)
    await storage.leader.resign({ holder: 'b' })
    assert.equal((await acquire(storage, 'b', 1)).leader, false)
    await storage.leader.resign({ holder: 'b' })
    assert.equal((await acquire(storage, 'a', 2)).leader, true)
  })

  test('of many who ask at once exactly one leads', async ({ servers }) => {
    const handles = await servers(4)
    const answers = await Promise.all(range(0, 11).map((n) => acquire(handles[n % 4]!, `server-${n}`, 0)))
    assert.equal(answers.filter(({ leader }) => leader).length, 1)
    assert.equal(new Set(answers.map(({ term }) => term)).size, 1)
  })

  test('the term goes on after a restart', async ({ storage, opened }) => {
    const first = await acquire(storage, 'a', 0)
    const again = (await opened.reopen?.()) ?? storage
    const second = await acquire(again, 'b', 60)
    assert.ok(second.term > first.term)
  })
}

/** Asks for a lease of ten seconds. */
const acquire = ({ leader }: Fixture['storage'], holder: string, seconds: number): Promise<Leadership> =>
  leader.acquire({ now: after(seconds), holder, until: after(seconds + 10) })
