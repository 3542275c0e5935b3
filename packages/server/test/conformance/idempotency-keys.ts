import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { Instant } from '../../src/lib/time.ts'
import type { Idempotency } from '../../src/storage/contract/requests.ts'
import { after, COMPLETED, type Fixture, type Group, NOW, newRequest, range } from './harness.ts'

const key = (more: Partial<Idempotency> = {}): { readonly idempotency: Idempotency } => ({
  idempotency: { key: 'order-7', fingerprint: 'digest-a', expiresAt: after(60), ...more },
})

export const idempotencyKeys: Group = (test) => {
  describe('of submits', () => {
    test('a repeated submit is answered with the first one’s id and creates nothing', async ({ submit, trySubmit, counts }) => {
      const id = await submit(key())
      assert.deepEqual(await trySubmit([key()], after(1)), [{ id, hasJob: true, outcome: 'repeated' }])
      assert.deepEqual(await counts(), { ready: 1 })
    })

    test('a repeated submit without a queue is told that it made no job', async ({ submit, trySubmit }) => {
      const id = await submit({ queue: null, ...key() })
      assert.deepEqual(await trySubmit([{ queue: null, ...key() }]), [{ id, hasJob: false, outcome: 'repeated' }])
    })

    test('a different request under a known key is a mismatch and is not recorded', async ({ submit, trySubmit, counts }) => {
      const id = await submit(key())
      const [answer] = await trySubmit([key({ fingerprint: 'digest-b' })])
      assert.equal(answer?.outcome, 'mismatch')
      assert.deepEqual(await counts(), { ready: 1 })
      assert.deepEqual((await trySubmit([key()]))[0], { id, hasJob: true, outcome: 'repeated' })
    })

    test('without a fingerprint whatever comes under the key is a repetition', async ({ submit, trySubmit }) => {
      const id = await submit(key())
      const [answer] = await trySubmit([{ body: '{"other":true}', ...key({ fingerprint: null }) }])
      assert.deepEqual(answer, { id, hasJob: true, outcome: 'repeated' })
    })

    test('a submit that met the holder of its unique key is repeated as such when that has ended', async ({
      start,
      trySubmit,
      report,
      counts,
    }) => {
      const holder = await start({ uniqueKey: 'u' })
      const again = { uniqueKey: 'u', ...key() }
      assert.deepEqual(await trySubmit([again]), [{ id: holder.id, hasJob: true, outcome: 'existing' }])
      await report(holder, COMPLETED)
      assert.deepEqual(await trySubmit([again]), [{ id: holder.id, hasJob: true, outcome: 'repeated' }])
      assert.deepEqual(await counts(), { completed: 1 })
    })

    test('two under one key in one batch make one request', async ({ trySubmit, counts }) => {
      const [first, second, third] = await trySubmit([key(), key(), key({ key: 'order-8' })])
      assert.equal(first?.outcome, 'created')
      assert.deepEqual(second, { id: first?.id, hasJob: true, outcome: 'repeated' })
      assert.equal(third?.outcome, 'created')
      assert.deepEqual(await counts(), { ready: 2 })
    })

    test('of many concurrent submits under one key exactly one creates', async ({ servers, counts }) => {
      const handles = await servers(4)
      const answers = await Promise.all(
        range(0, 19).map((n) => handles[n % 4]!.requests.submit({ now: NOW, items: [newRequest(key())] })),
      )
      const outcomes = answers.flat().map(({ outcome }) => outcome)
      assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
      assert.equal(outcomes.filter((outcome) => outcome === 'repeated').length, 19)
      assert.equal(new Set(answers.flat().map(({ id }) => id)).size, 1)
      assert.deepEqual(await counts(), { ready: 1 })
    })

    test('a key is remembered until it expires and then free again', async ({ submit, trySubmit }) => {
      const first = await submit(key({ expiresAt: after(60) }))
      assert.equal((await trySubmit([key()], after(60) - 1))[0]?.id, first)
      const again = key({ fingerprint: 'digest-b', expiresAt: after(120) })
      const second = await submit(again, after(60))
      assert.notEqual(second, first)
      assert.deepEqual(await trySubmit([again], after(61)), [{ id: second, hasJob: true, outcome: 'repeated' }])
    })

    test('a key is remembered though its request was deleted', async ({ submit, remove, trySubmit }) => {
      const id = await submit(key())
      await remove(id)
      assert.deepEqual(await trySubmit([key()]), [{ id, hasJob: true, outcome: 'repeated' }])
    })
  })

  describe('of other calls', () => {
    test('a call under a new key is let through, and others are kept off while it lasts', async ({ storage }) => {
      assert.deepEqual(await begin(storage), { kind: 'new' })
      assert.deepEqual(await begin(storage, { now: after(1) }), { kind: 'in_use' })
      assert.deepEqual(await begin(storage, { key: 'other' }), { kind: 'new' })
    })

    test('a repeated call is answered with the first one’s answer', async ({ storage }) => {
      await begin(storage)
      await storage.idempotency.finish({ key: 'call-7', status: 201, body: '{"id":7}', expiresAt: after(86_400) })
      assert.deepEqual(await begin(storage, { now: after(3_600) }), { kind: 'answered', status: 201, body: '{"id":7}' })
    })

    test('an empty answer is an answer', async ({ storage }) => {
      await begin(storage)
      await storage.idempotency.finish({ key: 'call-7', status: 204, body: '', expiresAt: after(60) })
      assert.deepEqual(await begin(storage), { kind: 'answered', status: 204, body: '' })
    })

    test('a different call under the key is a mismatch, answered or not', async ({ storage }) => {
      await begin(storage)
      assert.deepEqual(await begin(storage, { fingerprint: 'digest-b' }), { kind: 'mismatch' })
      await storage.idempotency.finish({ key: 'call-7', status: 200, body: '1', expiresAt: after(60) })
      assert.deepEqual(await begin(storage, { fingerprint: 'digest-b' }), { kind: 'mismatch' })
    })

    test('a reservation that is given up may be taken again', async ({ storage }) => {
      await begin(storage)
      await storage.idempotency.abandon({ key: 'call-7' })
      assert.deepEqual(await begin(storage, { fingerprint: 'digest-b' }), { kind: 'new' })
    })

    test('giving up does not remove an answer', async ({ storage }) => {
      await begin(storage)
      await storage.idempotency.finish({ key: 'call-7', status: 200, body: '1', expiresAt: after(60) })
      await storage.idempotency.abandon({ key: 'call-7' })
      assert.deepEqual(await begin(storage), { kind: 'answered', status: 200, body: '1' })
    })

    test('a reservation lapses', async ({ storage }) => {
      await begin(storage, { reservedUntil: after(30) })
      assert.deepEqual(await begin(storage, { now: after(30) - 1 }), { kind: 'in_use' })
      assert.deepEqual(await begin(storage, { now: after(30), reservedUntil: after(60) }), { kind: 'new' })
      assert.deepEqual(await begin(storage, { now: after(31) }), { kind: 'in_use' })
    })

    test('an answer expires', async ({ storage }) => {
      await begin(storage)
      await storage.idempotency.finish({ key: 'call-7', status: 200, body: '1', expiresAt: after(60) })
      assert.deepEqual(await begin(storage, { now: after(60), reservedUntil: after(90) }), { kind: 'new' })
      assert.deepEqual(await begin(storage, { now: after(61) }), { kind: 'in_use' })
    })

    test('a submit and another call under one key are a mismatch to each other', async ({
      storage,
      submit,
      trySubmit,
      counts,
    }) => {
      await submit(key({ key: 'call-7' }))
      assert.deepEqual(await begin(storage, { fingerprint: 'digest-b' }), { kind: 'mismatch' })
      await begin(storage, { key: 'order-7' })
      assert.equal((await trySubmit([key({ fingerprint: 'digest-b' })]))[0]?.outcome, 'mismatch')
      assert.deepEqual(await counts(), { ready: 1 })
    })

    test('of many concurrent calls under one key exactly one is let through', async ({ servers }) => {
      const handles = await servers(4)
      const states = await Promise.all(range(0, 19).map((n) => begin(handles[n % 4]!)))
      assert.equal(states.filter(({ kind }) => kind === 'new').length, 1)
      assert.equal(states.filter(({ kind }) => kind === 'in_use').length, 19)
    })
  })
}

interface Call {
  readonly now?: Instant
  readonly key?: string
  readonly fingerprint?: string
  readonly reservedUntil?: Instant
}

function begin({ idempotency }: Fixture['storage'], call: Call = {}): ReturnType<typeof idempotency.begin> {
  return idempotency.begin({ now: NOW, key: 'call-7', fingerprint: 'digest-a', reservedUntil: after(30), ...call })
}
