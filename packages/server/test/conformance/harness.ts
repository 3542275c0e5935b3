import assert from 'node:assert/strict'
import { test as declare } from 'node:test'
import { type Duration, type Instant, MILLISECOND, SECOND } from '../../src/lib/time.ts'
import type { Job, JobState } from '../../src/model/job.ts'
import type { LogEvent } from '../../src/model/log-event.ts'
import type { Queue, QueueCounts, QueueSettings } from '../../src/model/queue.ts'
import type { Outcome } from '../../src/model/settle.ts'
import type { NewEvent } from '../../src/storage/contract/events.ts'
import type { Claim, ClaimedJob, ReportResult } from '../../src/storage/contract/leases.ts'
import type { LogEventsFollowed } from '../../src/storage/contract/log-events.ts'
import type { Page, PageRequest } from '../../src/storage/contract/page.ts'
import type { NewJob, NewRequest, Submitted } from '../../src/storage/contract/requests.ts'
import type { ItemResult, Storage } from '../../src/storage/contract/storage.ts'

/** An empty database for one test, gone when disposed of. */
export interface TestStorage extends AsyncDisposable {
  /** Opened, but not migrated. */
  readonly storage: Storage
  /** Opens the same database for one more server; left out where it cannot be shared. */
  readonly peer?: () => Promise<Storage>
  /** Does something while another transaction holds a job to look at it; left out where none holds what it only looks at. */
  readonly whileHeld?: (id: number, act: () => Promise<unknown>) => Promise<void>
  /** Closes the database and opens it again; left out where it does not outlive being closed. */
  readonly reopen?: () => Promise<Storage>
}

export type Open = () => Promise<TestStorage>

/** Declares one test, which gets a fresh database with an up-to-date schema. */
export type Declare = (name: string, body: (fixture: Fixture) => Promise<void>) => void

/** A part of the law. Most tests are declared by `test`; those that need databases of another kind open them. */
export type Group = (test: Declare, open: Open) => void

/** A claim that goes on for ever, or a signal that never comes, fails its test and not the run. Long, for FerretDB on a busy machine. */
const LONGEST_TEST_MS = 240_000

export function declareWith(open: Open): Declare {
  return (name, body) => {
    declare(name, { timeout: LONGEST_TEST_MS }, async () => {
      await using opened = await open()
      await opened.storage.migrations.migrate({ now: NOW })
      await body(new Fixture(opened))
    })
  }
}

/** When everything begins. It has microseconds, and no power of ten divides it. */
export const NOW: Instant = Date.UTC(2026, 2, 14, 9, 26, 53) * MILLISECOND + 589_793

/** So many seconds after the beginning. */
export const after = (seconds: number): Instant => NOW + Math.round(seconds * SECOND)

export const LEASE: Duration = 30 * SECOND

export const QUEUE = 'emails'

export const COMPLETED: Outcome = { kind: 'completed', result: null, handled: false }

export const completed = (result: unknown): Outcome => ({ kind: 'completed', result: JSON.stringify(result), handled: false })

export const FAILED: Outcome = {
  kind: 'failed',
  error: { message: 'no route to host', code: 'EHOSTUNREACH', detail: 'at smtp' },
  random: 0.5,
}

export const DISCARDED: Outcome = { kind: 'discarded', reason: 'no such customer', error: null }

export const RELEASED: Outcome = { kind: 'released' }

export const snoozed = (delay: Duration): Outcome => ({ kind: 'snoozed', delay })

export const event = (message: string, more: Partial<NewEvent> = {}): NewEvent => ({
  kind: 'event',
  level: 'info',
  message,
  data: null,
  at: null,
  ...more,
})

let loggedEvents = 0

/** A log event; its document has whatever its other parts say. */
export function logEvent(more: Partial<LogEvent> = {}): LogEvent {
  const { id = `e_${++loggedEvents}`, type = 'user', at = NOW, fields = { username: 'ann', operation: 'write' } } = more
  return { id, type, at, fields, document: JSON.stringify({ id, type, at, fields }), ...more }
}

/** What a test says of a request and its job; the rest is as in `PLAIN_REQUEST` and `PLAIN_JOB`. */
export type Wish = Partial<Omit<NewRequest, 'job'>> & Partial<NewJob>

export const PLAIN_JOB: NewJob = {
  priority: 5,
  runAt: null,
  maxAttempts: null,
  backoff: null,
  uniqueKey: null,
  concurrencyKey: null,
  timeout: null,
  labels: null,
}

const PLAIN_REQUEST: Omit<NewRequest, 'job'> = {
  source: 'api',
  sourceIp: null,
  userAgent: null,
  method: 'POST',
  url: '/api/v1/jobs',
  headers: null,
  contentType: 'application/json',
  body: '{}',
  queue: QUEUE,
  idempotency: null,
}

export function newRequest(wish: Wish = {}): NewRequest {
  const job: Record<string, unknown> = { ...PLAIN_JOB }
  const request: Record<string, unknown> = { ...PLAIN_REQUEST }
  for (const [name, value] of Object.entries(wish)) (name in PLAIN_JOB ? job : request)[name] = value
  return { ...(request as unknown as Omit<NewRequest, 'job'>), job: request.queue === null ? null : (job as unknown as NewJob) }
}

interface ClaimWish {
  readonly queue?: string
  readonly worker?: string
  readonly limit?: number
  readonly now?: Instant
  readonly lease?: Duration
}

interface ReportWish {
  readonly now?: Instant
  readonly finishedAt?: Instant | null
  readonly events?: readonly NewEvent[]
}

/** A claimed job, as far as a report names it. */
export type Held = Pick<ClaimedJob, 'id'> & { readonly fence: number | null }

/** As many servers' handles on the database as asked for; all the same one where it cannot be shared. */
export async function serversOf({ storage, peer }: TestStorage, count: number): Promise<readonly Storage[]> {
  const others = Array.from({ length: count - 1 }, () => (peer === undefined ? storage : peer()))
  return [storage, ...(await Promise.all(others))]
}

/** The database of one test, with the verbs in the short forms that tests use. They may be taken apart from it. */
export class Fixture {
  readonly opened: TestStorage
  readonly storage: Storage

  constructor(opened: TestStorage) {
    this.opened = opened
    this.storage = opened.storage
  }

  readonly servers = (count: number): Promise<readonly Storage[]> => {
    return serversOf(this.opened, count)
  }

  readonly trySubmit = (wishes: readonly Wish[], now: Instant = NOW): Promise<readonly Submitted[]> => {
    return this.storage.requests.submit({ now, items: wishes.map(newRequest) })
  }

  /** @returns the ids of the requests, all of which must have been created. */
  readonly submitAll = async (wishes: readonly Wish[], now: Instant = NOW): Promise<number[]> => {
    const submitted = await this.trySubmit(wishes, now)
    for (const { outcome } of submitted) assert.equal(outcome, 'created')
    return submitted.map(({ id }) => id)
  }

  readonly submit = async (wish: Wish = {}, now: Instant = NOW): Promise<number> => {
    return (await this.submitAll([wish], now))[0]!
  }

  readonly claim = ({
    queue = QUEUE,
    worker = 'worker-1',
    limit = 1,
    now = NOW,
    lease = LEASE,
  }: ClaimWish = {}): Promise<Claim> => {
    return this.storage.leases.claim({ now, queue, worker, limit, lease })
  }

  readonly claimIds = async (wish: ClaimWish = {}): Promise<number[]> => {
    return (await this.claim(wish)).jobs.map(({ id }) => id)
  }

  readonly claimOne = async (wish: ClaimWish = {}): Promise<ClaimedJob> => {
    const { jobs } = await this.claim({ ...wish, limit: 1 })
    assert.equal(jobs.length, 1, 'there is a job to claim')
    return jobs[0]!
  }

  /** Submits a job and claims it. */
  readonly start = async (wish: Wish = {}, claim: ClaimWish = {}): Promise<ClaimedJob> => {
    const id = await this.submit(wish, claim.now)
    const job = await this.claimOne({ queue: wish.queue ?? QUEUE, ...claim })
    assert.equal(job.id, id)
    return job
  }

  readonly tryReport = async ({ id, fence }: Held, outcome: Outcome, wish: ReportWish = {}): Promise<ReportResult> => {
    const { now = NOW, finishedAt = null, events = [] } = wish
    return (await this.storage.leases.report({ now, reports: [{ id, fence, outcome, finishedAt, events }] }))[0]!
  }

  /** Reports an outcome, which must be accepted. @returns the state that it leads to. */
  readonly report = async (held: Held, outcome: Outcome, wish: ReportWish = {}): Promise<JobState> => {
    const { error, state } = await this.tryReport(held, outcome, wish)
    assert.equal(error, null)
    return state!
  }

  /** Submits a job and leads it to a final state. */
  readonly finish = async (state: 'completed' | 'cancelled' | 'dead', wish: Wish = {}, now: Instant = NOW): Promise<number> => {
    const job = await this.start(wish, { now })
    const outcome = { completed: COMPLETED, cancelled: { kind: 'cancelled', reason: null }, dead: DISCARDED } as const
    assert.equal(await this.report(job, outcome[state], { now }), state)
    return job.id
  }

  readonly cancel = async (id: number, now: Instant = NOW): Promise<ItemResult> => {
    return (await this.storage.jobs.cancel({ now, ids: [id], reason: 'not wanted', note: 'Cancel requested' }))[0]!
  }

  readonly retry = async (
    id: number,
    more: { payload?: string; queue?: string } = {},
    now: Instant = NOW,
  ): Promise<ItemResult> => {
    const item = { id, payload: more.payload ?? null, queue: more.queue ?? null }
    return (await this.storage.jobs.retry({ now, items: [item], note: 'Run again' }))[0]!
  }

  readonly remove = async (id: number, now: Instant = NOW): Promise<ItemResult> => {
    return (await this.storage.requests.delete({ now, ids: [id] }))[0]!
  }

  readonly job = async (id: number): Promise<Job> => {
    const [job] = await this.storage.jobs.find({ ids: [id] })
    assert.ok(job, `there is a job ${id}`)
    return job
  }

  readonly state = async (id: number): Promise<JobState> => {
    return (await this.job(id)).state
  }

  readonly configure = (change: Partial<QueueSettings>, name: string = QUEUE, now: Instant = NOW): Promise<Queue> => {
    return this.storage.queues.configure({ now, name, change, ifVersion: null })
  }

  readonly queue = async (name: string = QUEUE): Promise<Queue> => {
    const [queue] = await this.storage.queues.find({ names: [name] })
    assert.ok(queue, `there is a queue ${name}`)
    return queue
  }

  /** The counts of a queue that are not 0; that of the pending jobs is checked against its parts and left out. */
  readonly counts = async (name: string = QUEUE): Promise<Partial<QueueCounts>> => {
    return nonZero((await this.queue(name)).counts)
  }

  /** The messages of a job's events, oldest first. */
  readonly messages = async (jobId: number): Promise<string[]> => {
    return (await this.storage.events.list({ jobId, page: FIRST_100 })).items.map(({ message }) => message)
  }
}

function nonZero({ pending, ...counts }: QueueCounts): Partial<QueueCounts> {
  assert.equal(pending, counts.ready + counts.scheduled + counts.held, 'a pending job is ready, scheduled or held')
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0))
}

export const FIRST_100 = { limit: 100, order: 'asc', after: null } as const satisfies PageRequest<number | string>

/** All items of a list, read page by page. */
export async function readAll<Item, Position extends number | string = number>(
  list: (page: PageRequest<Position>) => Promise<Page<Item, Position>>,
  { limit, order }: Pick<PageRequest, 'limit' | 'order'>,
): Promise<Item[]> {
  const items: Item[] = []
  for (let next: Position | null = null, first = true; first || next !== null; first = false) {
    const page: Page<Item, Position> = await list({ limit, order, after: next })
    assert.ok(page.items.length <= limit, 'a page holds no more than was asked for')
    items.push(...page.items)
    if (page.next !== null) assert.notEqual(page.next, next, 'a page begins where the one before ended')
    next = page.next
  }
  return items
}

/** All log events in the order of their arrival, read one at a time. */
export async function followAll({ logEvents }: Storage): Promise<LogEventsFollowed['events']> {
  const events: LogEventsFollowed['events'][number][] = []
  for (let mark: string | null = null; ; ) {
    const followed: LogEventsFollowed | null = await logEvents.follow({ after: mark, limit: 1 })
    assert.ok(followed, 'a mark that was given leads on')
    if (followed.events.length === 0) return events
    events.push(...followed.events)
    mark = followed.mark
  }
}

/** The error's code of each item, `null` where it was served. */
export const codes = (results: readonly ItemResult[]): (string | null)[] => results.map(({ error }) => error?.code ?? null)

export const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
