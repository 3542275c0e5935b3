import type { Duration, Instant } from '../../../lib/time.ts'
import type { Labels } from '../../../model/job.ts'
import { retryPolicy } from '../../../model/queue.ts'
import { deadlineOf } from '../../../model/settle.ts'
import type { Claim, ClaimedJob, LeaseStore } from '../../contract/leases.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import { Stage } from '../../sql/stages.ts'
import type { JobDocument, RequestDocument } from './documents.ts'
import { labelsOf, metaOf } from './job-documents.ts'
import type { QueueState } from './queue-state.ts'
import { byPriority } from './selections.ts'
import type { Transaction } from './transaction.ts'

const PROMOTE_AT_ONCE = 1_000

/** To whom jobs are leased, since when and for how long. */
interface Lease {
  readonly worker: string
  readonly now: Instant
  readonly until: Instant
}

export async function claim(
  transaction: Transaction,
  { now, queue: name, worker, limit, lease }: Parameters<LeaseStore['claim']>[0],
): Promise<Claim> {
  const queue = await transaction.findQueue(name)
  if (queue === null || queue.settings.paused) return { jobs: [], nextAt: null }
  await promote(transaction, queue, now)
  const rate = transaction.lanes.queueRate(queue, now)
  const { concurrency } = queue.settings
  const room = concurrency === null ? limit : Math.min(limit, concurrency - queue.counts[Stage.running]!)
  const jobs = await take(transaction, queue, Math.min(room, rate.free), { worker, now, until: now + lease })
  await transaction.lanes.balance(now)
  return { jobs, nextAt: jobs.length < limit ? await nextTry(transaction, queue, now) : null }
}

/** Whether one more job of its queue and of its key may run. */
export async function hasRoom(transaction: Transaction, job: JobDocument): Promise<boolean> {
  const queue = await transaction.queueOf(job)
  const { concurrency, keyConcurrency } = queue.settings
  if (concurrency !== null && queue.counts[Stage.running]! >= concurrency) return false
  return job.concurrencyKey === undefined || (await transaction.lanes.get(queue, job.concurrencyKey)).running < keyConcurrency
}

/** Leases a job that a client without tokens works on although it did not claim it. */
export async function leaseOne(
  transaction: Transaction,
  job: JobDocument,
  worker: string,
  now: Instant,
  lease: Duration,
): Promise<void> {
  await start(transaction, await transaction.queueOf(job), job, { worker, now, until: now + lease })
}

/** Frees the scheduled jobs that are due, and the lanes whose time has come: once for all claims of a transaction. */
async function promote(transaction: Transaction, queue: QueueState, now: Instant): Promise<void> {
  if (queue.promoted) return
  queue.promoted = true
  if (queue.dueAt !== null && queue.dueAt <= now) {
    for (const job of await scheduled(transaction, queue, now, PROMOTE_AT_ONCE)) {
      const stage = job.concurrencyKey === undefined ? Stage.ready : Stage.held
      transaction.tables.requests.update(job._id, { stage })
      await transaction.move(queue, job, Stage.scheduled, stage)
    }
  }
  await transaction.lanes.touchDue(queue, now)
  await transaction.lanes.balance(now)
}

async function take(transaction: Transaction, queue: QueueState, room: number, lease: Lease): Promise<ClaimedJob[]> {
  const claimed: JobDocument[] = []
  let characters = 0
  while (claimed.length < room && characters < CHARACTERS_AT_ONCE && queue.counts[Stage.ready]! > 0) {
    const ready = await readyJobs(transaction, queue, room - claimed.length)
    if (ready.length === 0) break
    for (const job of ready) {
      if (characters >= CHARACTERS_AT_ONCE) break
      if (!(await mayStart(transaction, queue, job, lease.now))) continue
      claimed.push(await start(transaction, queue, job, lease))
      characters += (job.payload ?? job.body).length
    }
  }
  const payloads = await transaction.loadTexts(claimed.map(({ payload, body }) => payload ?? body))
  return claimed.map((job, index) => new Claimed(job, queue, payloads[index]!))
}

/** Holds a job back where its concurrency key has no room after all. */
async function mayStart(transaction: Transaction, queue: QueueState, job: JobDocument, now: Instant): Promise<boolean> {
  if (job.concurrencyKey === undefined) return true
  const lane = await transaction.lanes.touch(queue, job.concurrencyKey)
  if (transaction.lanes.mayStart(lane, now)) return true
  transaction.lanes.hold(lane, job._id)
  return false
}

async function start(transaction: Transaction, queue: QueueState, job: JobDocument, lease: Lease): Promise<JobDocument> {
  const { worker, now, until } = lease
  const deadline = job.timeout === undefined ? null : deadlineOf(now, job.timeout)
  const started = transaction.tables.requests.update(job._id, {
    stage: Stage.running,
    attempt: job.attempt + 1,
    fence: job.fence + 1,
    startedAt: now,
    leaseUntil: Math.min(until, deadline ?? until),
    deadline,
    worker,
    statusLabel: null,
    progress: null,
  })
  await transaction.move(queue, job, job.stage, Stage.running)
  await transaction.lanes.countStart(queue, job.concurrencyKey, now)
  const stats = transaction.stats(queue, now)
  stats.started++
  stats.waited += Math.max(0, now - job.runAt)
  return started as JobDocument
}

async function nextTry(transaction: Transaction, queue: QueueState, now: Instant): Promise<Instant | null> {
  const rateNextAt = queue.counts[Stage.ready]! > 0 ? transaction.lanes.queueRate(queue, now).nextAt : null
  const times = [await nextDue(transaction, queue), await transaction.lanes.nextWake(queue), rateNextAt]
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

async function nextDue(transaction: Transaction, queue: QueueState): Promise<Instant | null> {
  if (queue.dueAt === null) return null
  const [first] = queue.counts[Stage.scheduled]! > 0 ? await scheduled(transaction, queue, Number.POSITIVE_INFINITY, 1) : []
  queue.know('dueAt', first?.runAt ?? null)
  return queue.dueAt
}

async function scheduled(
  transaction: Transaction,
  { name }: QueueState,
  until: Instant,
  limit: number,
): Promise<JobDocument[]> {
  return (await transaction.tables.requests.find({
    filter: { queue: name, stage: Stage.scheduled, ...(until !== Number.POSITIVE_INFINITY && { runAt: { $lte: until } }) },
    matches: (job) => job.queue === name && job.stage === Stage.scheduled && job.runAt! <= until,
    sort: { runAt: 1 },
    compare: (a, b) => a.runAt! - b.runAt!,
    limit,
  })) as JobDocument[]
}

async function readyJobs(transaction: Transaction, { name }: QueueState, limit: number): Promise<readonly JobDocument[]> {
  return (await transaction.tables.requests.first(`ready:${name}`, {
    filter: { queue: name, stage: Stage.ready },
    matches: (job) => job.queue === name && job.stage === Stage.ready,
    sort: { priority: 1, _id: 1 },
    compare: byPriority,
    limit,
  })) as readonly JobDocument[]
}

/** A class, for a claim makes hundreds of them: their request is parsed for those alone who ask. */
class Claimed implements ClaimedJob {
  readonly id: number
  readonly fence: number
  readonly leaseUntil: Instant
  readonly attempt: number
  readonly maxAttempts: number
  readonly priority: number
  readonly createdAt: Instant
  readonly runAt: Instant
  readonly timeout: Duration | null
  readonly concurrencyKey: string | null
  readonly labels: Labels
  readonly payload: string
  readonly #document: RequestDocument

  constructor(job: JobDocument, { settings }: QueueState, payload: string) {
    this.id = job._id
    this.fence = job.fence
    this.leaseUntil = job.leaseUntil!
    this.attempt = job.attempt
    this.maxAttempts = retryPolicy({ maxAttempts: job.maxAttempts ?? null, backoff: null }, settings).maxAttempts
    this.priority = job.priority
    this.createdAt = job.receivedAt
    this.runAt = job.runAt
    this.timeout = job.timeout ?? null
    this.concurrencyKey = job.concurrencyKey ?? null
    this.labels = labelsOf(job)
    this.payload = payload
    this.#document = job
  }

  get request(): ClaimedJob['request'] {
    return metaOf(this.#document)
  }
}
