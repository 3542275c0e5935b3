/** Submits, claims and completes jobs of the database named until it is killed, and tells of each that was acknowledged. */
import { COMPLETED, LEASE, NOW, newRequest, QUEUE, range } from '../conformance/harness.ts'
import { openAt } from './postgres-storage.ts'

const storage = openAt(process.argv[2]!)
const tell = (kind: 'submitted' | 'completed', ids: readonly number[]): unknown => process.send?.({ kind, ids })

async function submit(): Promise<void> {
  const items = range(1, 20).map((n) => newRequest({ concurrencyKey: n % 2 === 0 ? `key-${n % 5}` : null }))
  while (true)
    tell(
      'submitted',
      (await storage.requests.submit({ now: NOW, items })).map(({ id }) => id),
    )
}

async function complete(): Promise<void> {
  while (true) {
    const { jobs } = await storage.leases.claim({ now: NOW, queue: QUEUE, worker: 'w', limit: 15, lease: LEASE })
    const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome: COMPLETED, finishedAt: null, events: [] }))
    const results = await storage.leases.report({ now: NOW, reports })
    tell(
      'completed',
      results.filter(({ error }) => error === null).map(({ id }) => id),
    )
  }
}

// Ends with the test, however that ends.
process.on('disconnect', () => process.exit())
await Promise.all([submit(), complete(), submit(), complete()])
