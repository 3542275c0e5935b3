import assert from 'node:assert/strict'
import { QUEUES } from '../crash/support/submitter.ts'
import type { Client } from '../support/client.ts'
import { until } from '../support/until.ts'

const STATES = ['completed', 'cancelled', 'dead']

/** Deletes the finished jobs of all queues of the soak. */
export async function deleteFinished(client: Client): Promise<void> {
  const filter = { queue: Object.keys(QUEUES), state: STATES }
  const started = await client.post('/api/v1/operations', { json: { action: 'delete', filter } })
  assert.equal(Math.floor(started.status / 100), 2, started.text)
  const { id } = started.json as { readonly id: number }
  await until(
    async () => {
      const answer = await client.get(`/api/v1/operations/${id}`)
      return (answer.json as { readonly state: string }).state === 'completed'
    },
    { what: 'the finished jobs are deleted', withinSeconds: 60, everyMs: 50 },
  )
}
