import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { ClaimAnswer, HeartbeatAnswer, JobDetail, ReportAnswer } from '@octoflow/protocol'
import { startOctoflow } from '../support/octoflow.ts'

const GUIDE = readFileSync(new URL('../../docs/guides/worker-protocol.md', import.meta.url), 'utf8')

/** The blocks of the guide that are JSON, as they stand there. */
const blocks = [...GUIDE.matchAll(/```json\n(.*?)```/gs)].map(([, json]) => JSON.parse(json!) as unknown)

/** A value with what is different at every call blotted out: times, versions, addresses. */
function blotted(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, inner: unknown) =>
    ['leaseUntil', 'createdAt', 'runAt', 'timestamp', 'url', 'sourceIp', 'userAgent', 'headers'].includes(key)
      ? typeof inner
      : inner,
  )
}

test('What the guide to the worker protocol shows is what is really said.', async (t) => {
  const { client } = await startOctoflow(t)
  const [claim, claimed, heartbeat, report, ...more] = blocks
  assert.deepEqual(more, [], 'a block that this test does not know')
  // The guide's job has the id 12.
  for (let id = 1; id < 12; id++) await client.post('/api/v1/jobs', { json: { queue: 'others' } })
  await client.post('/api/v1/jobs', { json: { queue: 'emails', payload: { to: 'ada@example.com' } } })

  const claiming = await client.post('/api/v1/queues/emails/claim', { json: claim })
  assert.deepEqual(blotted(claiming.json as ClaimAnswer), blotted(claimed))

  const beating = await client.post('/api/v1/jobs/heartbeat', { json: heartbeat })
  assert.deepEqual(blotted(beating.json as HeartbeatAnswer), { jobs: [{ id: 12, leaseUntil: 'string', command: 'continue' }] })

  const reporting = await client.post('/api/v1/jobs/report', { json: report })
  assert.deepEqual(reporting.json as ReportAnswer, { jobs: [{ id: 12, ok: true }] })
  const job = (await client.get('/api/v1/jobs/12')).json as JobDetail
  assert.deepEqual([job.state, job.result, job.progress?.fraction], ['completed', { sent: true }, 0.4])
})

test('The guide to the worker protocol knows every outcome and every command.', async (t) => {
  const { client } = await startOctoflow(t)
  const document = JSON.stringify((await client.openApi()).document)
  for (const list of [
    '"completed","failed","snoozed","discarded","cancelled","released"',
    '"continue","cancel","drain","lost"',
  ]) {
    assert.ok(document.includes(`"enum":[${list}]`), `the schemas still have ${list}`)
    for (const name of JSON.parse(`[${list}]`) as string[]) assert.match(GUIDE, new RegExp(`^\\| \`${name}\` `, 'm'))
  }
})
