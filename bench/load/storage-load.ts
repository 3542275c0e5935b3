import { SystemClock } from '../../packages/server/src/lib/clock.ts'
import { SECOND } from '../../packages/server/src/lib/time.ts'
import type { NewRequest } from '../../packages/server/src/storage/contract/requests.ts'
import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'

/** What the suites ask of a storage driver, below the engine: the same calls whatever the database. */

export const QUEUE = 'bench'
export const PAYLOAD = '{"n":1}'

export const clock = new SystemClock()

export const newRequest = (concurrencyKey: string | null = null): NewRequest => ({
  source: 'api',
  sourceIp: null,
  userAgent: null,
  method: 'POST',
  url: '/api/v1/jobs',
  headers: null,
  contentType: 'application/json',
  body: PAYLOAD,
  queue: QUEUE,
  idempotency: null,
  job: {
    priority: 5,
    runAt: null,
    maxAttempts: null,
    backoff: null,
    uniqueKey: null,
    concurrencyKey,
    timeout: null,
    labels: null,
  },
})

export async function submit({ requests }: Storage, items: readonly NewRequest[]): Promise<void> {
  await requests.submit({ now: clock.now(), items })
}

export const claim = ({ leases }: Storage, limit: number) =>
  leases.claim({ now: clock.now(), queue: QUEUE, worker: 'bench', limit, lease: 30 * SECOND })

/** Claims up to `limit` jobs and completes them. @returns how many it got. */
export async function work(storage: Storage, limit: number): Promise<number> {
  const { jobs } = await claim(storage, limit)
  if (jobs.length === 0) return 0
  const outcome = { kind: 'completed', result: null, handled: true } as const
  const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome, finishedAt: null, events: [] }))
  await storage.leases.report({ now: clock.now(), reports })
  return jobs.length
}

/** Submits jobs and works them off, in batches, several batches side by side. @returns jobs per second. */
export async function endToEnd(storage: Storage, count: number, { batch = 500, loops = 2 } = {}): Promise<number> {
  const requests = Array.from({ length: batch }, () => newRequest())
  let left = count
  const begun = performance.now()
  await Promise.all(
    Array.from({ length: loops }, async () => {
      while (left > 0) {
        left -= batch
        await submit(storage, requests)
        await work(storage, batch)
      }
    }),
  )
  return (count / (performance.now() - begun)) * 1000
}
