import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { isFinished } from '../../../model/job.ts'
import { expiry } from '../../../model/settle.ts'
import type { Beat, BeatResult, Claim, LeaseStore, ReportResult } from '../../contract/leases.ts'
import type { ItemResult, MovedJob } from '../../contract/storage.ts'
import { Stage, stateOf } from '../../sql/stages.ts'
import { claim, hasRoom, leaseOne } from './claims.ts'
import type { JobDocument, RequestDocument } from './documents.ts'
import { findJob } from './job-documents.ts'
import type { QueueState } from './queue-state.ts'
import { settleJob, takeReport } from './reports.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof LeaseStore> = Parameters<LeaseStore[Verb]>[0]

export class MongoLeases implements LeaseStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  claim(params: Params<'claim'>): Promise<Claim> {
    return this.#writer.write((transaction) => claim(transaction, params))
  }

  heartbeat({ now, beats }: Params<'heartbeat'>): Promise<readonly BeatResult[]> {
    return this.#writer.write(async (transaction) => {
      await transaction.tables.requests.load(beats.map(({ id }) => id))
      const results: BeatResult[] = []
      for (const each of beats) results.push(await beat(transaction, each, now))
      return results
    })
  }

  report({ now, reports }: Params<'report'>): Promise<readonly ReportResult[]> {
    return this.#writer.write(async (transaction) => {
      await transaction.tables.requests.load(reports.map(({ id }) => id))
      const results: ReportResult[] = []
      for (const report of reports) results.push(await takeReport(transaction, report, now))
      await transaction.lanes.balance(now)
      return results
    })
  }

  rescue({ now, startedSince = 0, limit }: Params<'rescue'>): Promise<readonly MovedJob[]> {
    return this.#writer.write(async (transaction) => {
      const moved: MovedJob[] = []
      for (const job of await running(transaction, now, { startedSince, limit })) {
        const { state } = (await settleJob(transaction, job, expiry(job.deadline ?? null, now), now, now))!
        moved.push({ id: job._id, queue: job.queue, state })
      }
      await transaction.lanes.balance(now)
      return moved
    })
  }

  renew({ now, id, worker, lease, start }: Params<'renew'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      const job = await findJob(transaction, id)
      if (job === null) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (isFinished(state) && start) return { id, error: new OctoflowError('job_finished', { id, state }) }
      if (state === 'running') {
        const leaseUntil = Math.min(now + lease, job.deadline ?? Number.POSITIVE_INFINITY)
        transaction.tables.requests.update(id, { leaseUntil, ...(start && { statusLabel: null }) })
      } else if (start) {
        if (!(await hasRoom(transaction, job))) return { id, error: new OctoflowError('job_must_wait', { id }) }
        await leaseOne(transaction, job, worker, now, lease)
        await transaction.lanes.balance(now)
      }
      return { id, error: null }
    })
  }

  shift({ by }: Params<'shift'>): Promise<void> {
    return this.#writer.write(async (transaction) => {
      for (const { _id, leaseUntil, deadline } of await running(transaction, Number.POSITIVE_INFINITY))
        transaction.tables.requests.update(_id, {
          leaseUntil: leaseUntil! + by,
          ...(deadline !== undefined && { deadline: deadline + by }),
        })
      for (const { _id, queue, runAt } of await startedBefore(transaction)) {
        transaction.tables.requests.update(_id, { runAt: runAt + by })
        ;(await transaction.findQueue(queue))!.expect('dueAt', runAt + by)
      }
      await transaction.lanes.wakeSleeping()
      for (const queue of await timedQueues(transaction)) {
        queue.promoted = false
        queue.nextTimeMoved = true
      }
    })
  }
}

async function beat(transaction: Transaction, { id, fence, lease, progress }: Beat, now: Instant): Promise<BeatResult> {
  const job = await findJob(transaction, id)
  const isHeld = job !== null && job.stage === Stage.running && job.fence === fence && (job.deadline ?? now + 1) > now
  if (!isHeld) return { id, leaseUntil: null, cancelRequested: false }
  const leaseUntil = Math.min(now + lease, job.deadline ?? Number.POSITIVE_INFINITY)
  transaction.tables.requests.update(id, { leaseUntil, ...(progress !== null && { progress }) })
  return { id, leaseUntil, cancelRequested: job.cancelRequested ?? false }
}

/** Running jobs whose lease ends at `until` or before, those first whose ends first. */
async function running(
  { tables }: Transaction,
  until: Instant,
  { startedSince = 0, limit }: { readonly startedSince?: Instant; readonly limit?: number } = {},
): Promise<JobDocument[]> {
  const leaseUntil = until === Number.POSITIVE_INFINITY ? { $exists: true } : { $lte: until }
  return (await tables.requests.find({
    filter: { leaseUntil, startedAt: { $gte: startedSince } },
    matches: (job: RequestDocument) =>
      job.leaseUntil !== undefined && job.leaseUntil <= until && job.startedAt !== undefined && job.startedAt >= startedSince,
    sort: { leaseUntil: 1 },
    compare: (a, b) => a.leaseUntil! - b.leaseUntil!,
    ...(limit !== undefined && { limit }),
  })) as JobDocument[]
}

/** Scheduled jobs that wait out a backoff or a snooze. */
async function startedBefore({ tables }: Transaction): Promise<JobDocument[]> {
  return (await tables.requests.find({
    filter: { stage: Stage.scheduled, fence: { $gt: 0 } },
    matches: ({ stage, fence = 0 }) => stage === Stage.scheduled && fence > 0,
    sort: { _id: 1 },
    compare: (a, b) => a._id - b._id,
  })) as JobDocument[]
}

/** Queues in which something waits for a time. */
async function timedQueues(transaction: Transaction): Promise<QueueState[]> {
  const all = { filter: {}, matches: () => true, sort: { _id: 1 }, compare: () => 0 } as const
  const queues: QueueState[] = []
  for (const { _id } of await transaction.tables.queues.find(all)) {
    const queue = (await transaction.findQueue(_id))!
    if (queue.counts[Stage.scheduled]! > 0 || queue.settings.keyRateLimit !== null) queues.push(queue)
  }
  return queues
}
