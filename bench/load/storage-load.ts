import { SystemClock } from '../../packages/server/src/lib/clock.ts'
import { SECOND } from '../../packages/server/src/lib/time.ts'
import type { QueueSettings } from '../../packages/server/src/model/queue.ts'
import type { NewRequest } from '../../packages/server/src/storage/contract/requests.ts'
import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'

/** What the suites ask of a storage driver, below the engine: the same calls whatever the database. */

export const BATCH = 500
export const LOOPS = 2
export const WORKERS = 24
export const KEYS = 100
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
export async function endToEnd(storage: Storage, count: number, { batch = BATCH, loops = LOOPS } = {}): Promise<number> {
  const requests = Array.from({ length: batch }, () => newRequest())
  let left = count
  return rateOf(count, () =>
    inLoops(loops, async () => {
      while (left > 0) {
        left -= batch
        await submit(storage, requests)
        await work(storage, batch)
      }
    }),
  )
}

/** Jobs per second. */
export interface Rates {
  readonly submit: number
  readonly drain: number
  readonly endToEnd: number
}

const inLoops = async (loops: number, run: () => Promise<void>): Promise<void> => {
  await Promise.all(Array.from({ length: loops }, run))
}

export async function rateOf(count: number, run: () => Promise<void>): Promise<number> {
  const begun = performance.now()
  await run()
  return (count / (performance.now() - begun)) * 1_000
}

/** Three phases, whoever the candidate is: all in, all out, and both in turn. */
export async function phases(count: number, submit: () => Promise<void>, work: () => Promise<number>): Promise<Rates> {
  const times = (act: () => Promise<unknown>) => {
    let left = count / BATCH
    return rateOf(count, () =>
      inLoops(LOOPS, async () => {
        while (left-- > 0) await act()
      }),
    )
  }
  const drain = () =>
    rateOf(count, () =>
      inLoops(LOOPS, async () => {
        while ((await work()) > 0);
      }),
    )
  return { submit: await times(submit), drain: await drain(), endToEnd: await times(() => submit().then(work)) }
}

/** @param keys how many concurrency keys the jobs have, with ten places each and a rate limit that is never reached. */
export async function ratesOf(storage: Storage, count: number, keys: number | null): Promise<Rates> {
  const limits: Partial<QueueSettings> = { keyConcurrency: 10, rateLimit: { limit: 1e9, period: 60 * SECOND } }
  if (keys !== null) await storage.queues.configure({ now: clock.now(), name: QUEUE, change: limits, ifVersion: null })
  let made = 0
  const request = (): NewRequest => newRequest(keys === null ? null : `key-${made++ % keys}`)
  return phases(
    count,
    () => submit(storage, Array.from({ length: BATCH }, request)),
    () => work(storage, BATCH),
  )
}

/** Independent workers that have one job at a time. @returns jobs per second. */
export async function rateOneByOne(storage: Storage, count: number): Promise<number> {
  for (let made = 0; made < count; made += BATCH)
    await submit(
      storage,
      Array.from({ length: BATCH }, () => newRequest()),
    )
  return rateOf(count, () =>
    inLoops(WORKERS, async () => {
      while ((await work(storage, 1)) > 0);
    }),
  )
}
