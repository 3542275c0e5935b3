import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from '../../../../src/core/engine/roster.ts'
import { Attention, type HostState } from '../../../../src/core/insight/attention.ts'
import { Queues } from '../../../../src/core/jobs/queues.ts'
import { HOUR, SECOND } from '../../../../src/lib/time.ts'
import { FAILED, NOW, QUEUE } from '../../../conformance/harness.ts'
import { type Core, openCore } from '../core.ts'

/** From so many on, all of which failed, a queue is failing. */
const FAILURES = 10

const MEBIBYTE = 1024 ** 2

const HEALTHY: HostState = {
  diskFree: async () => 50 * 1024 * MEBIBYTE,
  clockStep: () => null,
  clockSkew: () => null,
  unusableHandlers: () => new Map(),
}

const attentionOf = (core: Core, host: Partial<HostState> = {}): Attention =>
  new Attention(core.ports, new Queues(core.ports, new Roster(core.ports)), { ...HEALTHY, ...host })

const ALL = { limit: 1_000, order: 'asc', after: null } as const

const itemsOf = async (attention: Attention) => (await attention.page(ALL, null)).items

const codesOf = async (attention: Attention): Promise<string[]> =>
  (await itemsOf(attention)).map(({ code, severity }) => `${severity} ${code}`)

test('A disk that fills up needs a look, and one that is nearly full at once.', async () => {
  await using core = await openCore()
  for (const [mebibytes, expected] of [
    [1_024, []],
    [1_023, ['warning disk_low']],
    [128, ['warning disk_low']],
    [127, ['critical disk_low']],
    [null, []],
  ] as const) {
    const free = mebibytes === null ? null : mebibytes * MEBIBYTE
    assert.deepEqual(await codesOf(attentionOf(core, { diskFree: async () => free })), expected, `${mebibytes} MiB`)
  }
})

test('A step of the clock is told with its direction and size.', async () => {
  await using core = await openCore()
  for (const [by, words] of [
    [90 * SECOND, 'forward by 1 min 30 s'],
    [-2 * HOUR, 'back by 2 h'],
  ] as const) {
    const [item] = await itemsOf(attentionOf(core, { clockStep: () => ({ at: NOW, by }) }))
    assert.equal(item!.code, 'clock_stepped')
    assert.ok(item!.message.includes(words), item!.message)
  }
})

test('A queue whose handler cannot be used needs a look, whatever else is the matter with it.', async () => {
  await using core = await openCore()
  await core.db.finish('dead')
  const unusableHandlers = () => new Map([[QUEUE, '../../etc/passwd']])
  const [, item] = await itemsOf(attentionOf(core, { unusableHandlers }))
  assert.deepEqual([item!.code, item!.severity, item!.queue], ['handler_unusable', 'warning', QUEUE])
  assert.ok(item!.message.includes('"../../etc/passwd"') && item!.hint.includes(`octoflow queues set ${QUEUE}`))
})

test('The gravest comes first.', async () => {
  await using core = await openCore()
  await core.db.finish('dead')
  const attention = attentionOf(core, { diskFree: async () => 0, clockStep: () => ({ at: NOW, by: SECOND }) })
  assert.deepEqual(await codesOf(attention), ['critical disk_low', 'warning dead_letters', 'info clock_stepped'])
})

test('A queue is failing when half of at least ten attempts of the last hour failed.', async () => {
  await using core = await openCore()
  const attention = attentionOf(core)
  for (let n = 0; n < 9; n++) await core.db.report(await core.db.start({ maxAttempts: 99 }), FAILED)
  assert.ok(!(await codesOf(attention)).includes('warning queue_failing'), 'nine say nothing yet')
  await core.db.report(await core.db.start({ maxAttempts: 99 }), FAILED)
  assert.ok((await codesOf(attention)).includes('warning queue_failing'))
  await core.clock.advance(2 * HOUR)
  assert.ok(!(await codesOf(attention)).includes('warning queue_failing'), 'what is long ago is forgotten')
})

test('However many queues need a look, a page holds no more than was asked for, and the pages hold them all.', async () => {
  await using core = await openCore()
  const queues = ['a', 'b b', 'c,c', 'd'].flatMap((name) => [name, `${name}-well`])
  for (const queue of queues) {
    if (queue.endsWith('-well')) await core.db.finish('completed', { queue })
    else for (let n = 0; n < FAILURES; n++) await core.db.report(await core.db.start({ queue, maxAttempts: 1 }), FAILED)
  }
  const attention = attentionOf(core, { diskFree: async () => 0, clockStep: () => ({ at: NOW, by: SECOND }) })
  const all = await itemsOf(attention)
  assert.equal(all.length, 2 + 2 * 4)
  for (const limit of [1, 2, 3, 7, 10]) {
    const paged: unknown[] = []
    for (let after: string | null = null, first = true; first || after !== null; first = false) {
      const page: Awaited<ReturnType<typeof attention.page>> = await attention.page({ limit, order: 'asc', after }, null)
      assert.ok(page.items.length <= limit)
      paged.push(...page.items)
      after = page.next
    }
    const sorted = (items: readonly unknown[]) => items.map((item) => JSON.stringify(item)).sort()
    assert.deepEqual(sorted(paged), sorted(all), `pages of ${limit}`)
  }
})

test('A command to paste names a queue as one word for a shell.', async () => {
  await using core = await openCore()
  await core.db.submit({ queue: "Ada's mails" })
  const [item] = await itemsOf(attentionOf(core))
  assert.equal(item!.hint, "Start one: `octoflow worker FILE --queue 'Ada'\\''s mails'`.")
})
