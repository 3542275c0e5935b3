import assert from 'node:assert/strict'
import type { Client } from '../support/client.ts'

const STATE = ['jobs', 'requests', 'queues', 'workers', 'operations', 'keys', 'jobs/1', 'jobs/1/events', 'dead-letters']

/** All that a server holds, as its API tells it, to be compared with what it holds later. The first job is told in full. */
export async function snapshot(client: Client): Promise<readonly unknown[]> {
  const answers = await Promise.all(STATE.map((path) => client.get(`/api/v1/${path}`)))
  for (const { status, text } of answers) assert.equal(status, 200, text)
  return answers.map(({ json }) => json)
}
