import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from '@octoflow/protocol'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { claim, claimOne, expectProblem, expectStatus, finish, ids, type Listed, QUEUE, read, report, start } from './native.ts'

test('A dead letter tells why it is one, can be replayed with another payload and into another queue, and then is none.', async (t) => {
  const { client } = await startOctoflow(t)
  const held = await start(client, { labels: { a: 'b' }, payload: 1, maxAttempts: 1 })
  await report(client, held, { outcome: 'failed', error: { message: 'no', code: 'E1' } })
  const { items } = await read<Listed<{ diedAt: string; createdAt: string }>>(client, '/dead-letters')
  const [{ diedAt, createdAt, ...letter }] = items as [(typeof items)[number]]
  assert.ok(diedAt >= createdAt)
  assert.deepEqual(letter, {
    id: held.id,
    queue: QUEUE,
    reason: 'attempts_exhausted',
    attempts: 1,
    error: { message: 'no', code: 'E1', detail: null },
    origin: { kind: 'job', source: 'api', requestId: held.id },
    labels: { a: 'b' },
  })
  assert.deepEqual(await read(client, `/dead-letters/${held.id}`), items[0])
  const call = { json: { payload: { n: 2 }, target: 'other' } }
  const job = expectStatus(await client.post(`/api/v1/dead-letters/${held.id}/replay`, call), 200).json as Job
  assert.deepEqual([job.state, job.queue], ['pending', 'other'])
  assert.deepEqual(await claim(client), [])
  const again = await claimOne(client, { queue: 'other' })
  assert.deepEqual([again.id, again.payload, again.attempt], [held.id, { n: 2 }, 1])
  for (const id of [held.id, 999, 'x']) {
    for (const answer of [
      await client.get(`/api/v1/dead-letters/${id}`),
      await client.post(`/api/v1/dead-letters/${id}/replay`),
    ])
      assert.equal(expectProblem(answer, 404, 'dead_letter_not_found').detail, `There is no dead letter ${id}.`)
  }
})

test('Of a dead letter’s attempts those count that count for its job.', async (t) => {
  const { client } = await startOctoflow(t)
  const snoozed = await start(client, { maxAttempts: 2 })
  await report(client, snoozed, { outcome: 'snoozed', delaySeconds: 0 })
  for (let attempt = 1; attempt <= 2; attempt++) {
    const held = await claimOne(client, { waitSeconds: 30 })
    assert.equal(held.attempt, attempt)
    await report(client, held, { outcome: 'failed', error: 'no' })
    if (attempt === 1) await client.patch(`/api/v1/jobs/${held.id}`, { json: { runAt: '2020-01-01T00:00:00Z' } })
  }
  const letter = await read<{ attempts: number }>(client, `/dead-letters/${snoozed.id}`)
  const job = await read<{ attempt: number; attempts: readonly object[] }>(client, `/jobs/${snoozed.id}`)
  assert.deepEqual([letter.attempts, job.attempt, job.attempts.length], [2, 2, 3])
})

test('Dead letters are listed page by page, filtered as jobs are, and only dead jobs are among them.', async (t) => {
  const { client } = await startOctoflow(t)
  await finish(client, 'completed')
  await finish(client, 'cancelled')
  const dead: number[] = []
  for (let n = 0; n < 4; n++) dead.unshift(await finish(client, 'dead', { labels: { n: String(n) }, payload: `p${n}` }))
  const other = await finish(client, 'dead', { queue: 'other' })
  assert.deepEqual(await ids(client, '/dead-letters?limit=2'), [other, ...dead])
  assert.deepEqual(await ids(client, '/dead-letters?limit=2&order=asc'), [...dead.toReversed(), other])
  assert.deepEqual(await ids(client, '/dead-letters?queue=other'), [other])
  assert.deepEqual(await ids(client, '/dead-letters?label=n=2'), [dead[1]])
  assert.deepEqual(await ids(client, '/dead-letters?text=p3'), [dead[0]])
})

test('A key with a queue scope replays into its queues alone.', async (t) => {
  const { client } = await startOctoflow(t)
  const key = await createKey(client, { role: 'operator', queues: ['mine'] })
  const id = await finish(client, 'dead', { queue: 'mine' })
  const replay = (target: string) => client.post(`/api/v1/dead-letters/${id}/replay`, { key, json: { target } })
  expectProblem(await replay('theirs'), 403, 'queue_out_of_scope')
  expectStatus(await replay('mine'), 200)
})
