import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { isFinished } from '../../../model/job.ts'
import { deadlineOf, expiry } from '../../../model/settle.ts'
import type { Beat, BeatResult, Claim, LeaseStore, ReportResult } from '../../contract/leases.ts'
import type { ItemResult, MovedJob } from '../../contract/storage.ts'
import { Coalescer, shareOut } from '../../sql/coalescer.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { timed } from '../../sql/settling.ts'
import { Stage, stateOf } from '../../sql/stages.ts'
import { type ClaimCall, Claims, lockQueue, runningIn } from './claims.ts'
import type { Database } from './database.ts'
import { Reports, settleJob } from './reports.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof LeaseStore> = Parameters<LeaseStore[Verb]>[0]

/** Jobs that one transaction hands out, takes reports on, or renews the leases of. */
const TOGETHER = 500

export class PostgresLeases implements LeaseStore {
  readonly #db: Database
  readonly #writer: Writer
  readonly #claims: Claims
  readonly #claiming = new Map<string, Coalescer<ClaimCall, Claim>>()
  readonly #taker: Reports
  readonly #reports: Coalescer<Params<'report'>, readonly ReportResult[]>
  readonly #heartbeats: Coalescer<Params<'heartbeat'>, readonly BeatResult[]>

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
    this.#claims = new Claims(writer, db.queueNames)
    this.#taker = new Reports(writer)
    this.#reports = new Coalescer(
      (calls) => this.#report(calls),
      ({ reports }) => reports.length,
      TOGETHER,
    )
    this.#heartbeats = new Coalescer(
      (calls) => this.#heartbeat(calls),
      ({ beats }) => beats.length,
      TOGETHER,
    )
  }

  claim({ queue, ...call }: Params<'claim'>): Promise<Claim> {
    return this.#db.underWay(async () => {
      let together = this.#claiming.get(queue)
      if (together === undefined) {
        together = new Coalescer(
          (calls) => this.#claims.claim(queue, calls),
          ({ limit }) => limit,
          TOGETHER,
        )
        this.#claiming.set(queue, together)
      }
      try {
        return await together.do(call)
      } finally {
        if (together.idle) this.#claiming.delete(queue)
      }
    })
  }

  heartbeat(params: Params<'heartbeat'>): Promise<readonly BeatResult[]> {
    return this.#db.underWay(() => this.#heartbeats.do(params))
  }

  report(params: Params<'report'>): Promise<readonly ReportResult[]> {
    return this.#db.underWay(() => this.#reports.do(params))
  }

  rescue({ now, startedSince = 0, limit }: Params<'rescue'>): Promise<readonly MovedJob[]> {
    return this.#writer.write(async (transaction) => {
      const expired = await transaction.rows<[number]>(SELECT_EXPIRED, now, startedSince, limit)
      await transaction.jobs.lock(expired.map(([id]) => id))
      const jobs = expired.flatMap(([id]) => transaction.jobs.find(id) ?? []).filter((job) => hasExpired(job, now))
      const names = await transaction.names(jobs.map(({ queueId }) => queueId))
      const moved = jobs.map((job) => {
        const { state } = settleJob(transaction, job, expiry(job.deadline, now), now, now)!
        return { id: job.id, queue: names.get(job.queueId)!, state }
      })
      await transaction.lanes.balance(now)
      return moved
    })
  }

  renew({ now, id, worker, lease, start }: Params<'renew'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      if (start) await lockQueueOf(transaction, id)
      await transaction.jobs.lock([id])
      const job = transaction.jobs.find(id)
      if (job === undefined) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (isFinished(state) && start) return { id, error: new OctoflowError('job_finished', { id, state }) }
      if (state === 'running') {
        const leaseUntil = Math.min(now + lease, job.deadline ?? Number.POSITIVE_INFINITY)
        transaction.jobs.change(job, { leaseUntil, ...(start && { statusLabel: null }) })
      } else if (start) {
        if (!(await hasRoom(transaction, job))) return { id, error: new OctoflowError('job_must_wait', { id }) }
        leaseTo(transaction, job, worker, now, now + lease)
        await transaction.lanes.balance(now)
      }
      return { id, error: null }
    })
  }

  shift({ by }: Params<'shift'>): Promise<void> {
    return this.#writer.write(async (transaction) => {
      transaction.send(SHIFT_LEASES, by)
      const queues = await transaction.rows<[number]>(SHIFT_DELAYS, by)
      for (const [id] of queues) transaction.change(id).nextTimeMoved = true
      transaction.lanes.wakeSleeping()
    })
  }

  async #report(calls: readonly Params<'report'>[]): Promise<readonly (readonly ReportResult[])[]> {
    const reports = calls.flatMap(({ now, reports: of }) => of.map((report) => timed(report, now)))
    if (reports.length === 0) return calls.map(() => [])
    const results = await this.#taker.take(reports)
    return shareOut(
      calls.map(({ reports: of }) => of.length),
      results,
    )
  }

  async #heartbeat(calls: readonly Params<'heartbeat'>[]): Promise<readonly (readonly BeatResult[])[]> {
    const beats = calls.flatMap(({ now, beats: of }) => of.map((beat) => ({ ...beat, now })))
    const results = await this.#writer.transact((transaction) => renewAll(transaction, beats), { repeatable: true })
    return shareOut(
      calls.map(({ beats: of }) => of.length),
      results,
    )
  }
}

interface TimedBeat extends Beat {
  readonly now: Instant
}

/** Several beats of one job are done one after the other, the others together. */
async function renewAll(transaction: Transaction, beats: readonly TimedBeat[]): Promise<readonly BeatResult[]> {
  const results: BeatResult[] = []
  let left = [...beats.entries()]
  while (left.length > 0) {
    const round = new Map<number, readonly [number, TimedBeat]>()
    for (const one of left) if (!round.has(one[1].id)) round.set(one[1].id, one)
    left = left.filter((one) => round.get(one[1].id) !== one)
    const renewed = await renewOnce(
      transaction,
      [...round.values()].map(([, beat]) => beat).sort((a, b) => a.id - b.id),
    )
    for (const [index, { id }] of round.values())
      results[index] = renewed.get(id) ?? { id, leaseUntil: null, cancelRequested: false }
  }
  return results
}

async function renewOnce(transaction: Transaction, beats: readonly TimedBeat[]): Promise<ReadonlyMap<number, BeatResult>> {
  const renewed = await transaction.rows<[number, Instant, boolean]>(
    RENEW,
    array(beats.map(({ id }) => id)),
    array(beats.map(({ fence }) => fence)),
    array(beats.map(({ now }) => now)),
    array(beats.map(({ now, lease }) => now + lease)),
    textArray(beats.map(({ progress }) => (progress === null ? null : JSON.stringify(progress)))),
  )
  return new Map(renewed.map(([id, leaseUntil, cancelRequested]) => [id, { id, leaseUntil, cancelRequested }]))
}

const hasExpired = ({ stage, leaseUntil }: JobRecord, now: Instant): boolean =>
  stage === Stage.running && leaseUntil !== null && leaseUntil <= now

/** Where a queue has limits, who starts one of its jobs holds it. */
async function lockQueueOf(transaction: Transaction, id: number): Promise<void> {
  const [row] = await transaction.rows<[number, boolean]>(SELECT_LIMITED, id)
  if (row?.[1] === true) await lockQueue(transaction, row[0])
}

/** Whether one more job of its queue and of its key may run. */
async function hasRoom(transaction: Transaction, { queueId, concurrencyKey }: JobRecord): Promise<boolean> {
  const { concurrency, keyConcurrency } = transaction.settingsOf(queueId)
  if (concurrency !== null && (await runningIn(transaction, queueId)) >= concurrency) return false
  if (concurrencyKey === null) return true
  const lane = transaction.lanes.get(queueId, concurrencyKey)
  await transaction.lanes.lock()
  return lane.running < keyConcurrency
}

/** Leases a job that a client without tokens works on although it did not claim it. */
function leaseTo(transaction: Transaction, job: JobRecord, worker: string, now: Instant, until: Instant): void {
  const { timeout } = job
  const deadline = timeout === null ? null : deadlineOf(now, timeout)
  noteStart(transaction, job, now)
  Object.assign(job, { stage: Stage.running })
  transaction.jobs.change(job, {
    attempt: job.attempt + 1,
    fence: job.fence + 1,
    startedAt: now,
    leaseUntil: Math.min(until, deadline ?? until),
    deadline,
    worker,
    statusLabel: null,
    progress: null,
  })
}

function noteStart(transaction: Transaction, { queueId, concurrencyKey, stage, runAt }: JobRecord, now: Instant): void {
  transaction.move(queueId, concurrencyKey, stage, Stage.running)
  transaction.lanes.rates.countStarts(queueId, concurrencyKey, now)
  const stats = transaction.stats(queueId, now)
  stats.started++
  stats.waited += Math.max(0, now - runAt)
}

const SELECT_LIMITED = `SELECT q.id, q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL
  FROM octoflow_requests r JOIN octoflow_queues q ON q.id = r.queue_id WHERE r.id = $1`

const SELECT_EXPIRED = `SELECT id FROM octoflow_requests
  WHERE stage = 3 AND lease_until <= $1 AND started_at >= $2 ORDER BY lease_until LIMIT $3`

// The rows are found by their ids: `stage + 0` keeps the planner from reading all running jobs for each instead.
const RENEW = `UPDATE octoflow_requests r SET lease_until = least(b.until, r.deadline), progress = coalesce(b.progress, r.progress)
  FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::text[]) AS b (id, fence, now, until, progress)
  WHERE r.id = b.id AND r.stage + 0 = 3 AND r.fence = b.fence AND (r.deadline IS NULL OR r.deadline > b.now)
  RETURNING r.id, r.lease_until, r.cancel_requested`

const SHIFT_LEASES = `UPDATE octoflow_requests r SET lease_until = lease_until + $1, deadline = deadline + $1 FROM (
    SELECT id FROM octoflow_requests WHERE stage = 3 ORDER BY id FOR NO KEY UPDATE
  ) AS locked WHERE r.id = locked.id`

// What waits for a time that a client named is left alone. Gives the queues in which anything is scheduled.
const SHIFT_DELAYS = `WITH shifted AS (
    UPDATE octoflow_requests r SET run_at = run_at + $1 FROM (
      SELECT id FROM octoflow_requests WHERE stage = 1 AND fence > 0 ORDER BY id FOR NO KEY UPDATE
    ) AS locked WHERE r.id = locked.id)
  SELECT q.id FROM octoflow_queues q
   WHERE EXISTS (SELECT FROM octoflow_requests r WHERE r.queue_id = q.id AND r.stage = 1)`
