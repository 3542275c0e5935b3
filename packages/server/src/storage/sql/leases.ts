import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Instant } from '../../lib/time.ts'
import { isFinished } from '../../model/job.ts'
import { deadlineOf, expiry, type Outcome, type Settlement } from '../../model/settle.ts'
import type { Beat, BeatResult, Claim, LeaseStore, ReportResult } from '../contract/leases.ts'
import type { ItemResult, MovedJob } from '../contract/storage.ts'
import { Coalescer, shareOut } from './coalescer.ts'
import type { SharedDatabase } from './database.ts'
import type { JobRecord } from './job-record.ts'
import type { PooledConnection } from './pool.ts'
import { type SettlingTransaction, type TimedReport, timed } from './settling.ts'
import { Stage, stateOf } from './stages.ts'
import type { Writing } from './writer.ts'

type Params<Verb extends keyof LeaseStore> = Parameters<LeaseStore[Verb]>[0]

/** Jobs that one transaction hands out, takes reports on, or renews the leases of. */
const TOGETHER = 500

/** One of those who claim from a queue together. */
export type ClaimCall = Omit<Params<'claim'>, 'queue'>

export interface TimedBeat extends Beat {
  readonly now: Instant
}

/** What a transaction has to do with leases. */
interface LeasingTransaction extends SettlingTransaction {
  readonly jobs: SettlingTransaction['jobs'] & { lock(ids: readonly number[]): Promise<void> }
  readonly lanes: {
    readonly rates: { countStarts(queueId: number, key: string | null, now: Instant): void }
    get(queueId: number, key: string): { readonly running: number }
    lock(): Promise<void>
    balance(now: Instant): Promise<void>
  }
  names(queueIds: readonly number[]): Promise<ReadonlyMap<number, string>>
}

/** Has concurrent calls of a kind done together: claims of one queue, all reports, all heartbeats. */
export abstract class SharedLeases<In extends LeasingTransaction> implements LeaseStore {
  readonly #db: Pick<SharedDatabase<PooledConnection>, 'underWay'>
  readonly #writer: Writing<In>
  readonly #claims = new Map<string, Coalescer<ClaimCall, Claim>>()
  readonly #reports: Coalescer<Params<'report'>, readonly ReportResult[]>
  readonly #heartbeats: Coalescer<Params<'heartbeat'>, readonly BeatResult[]>

  constructor(db: Pick<SharedDatabase<PooledConnection>, 'underWay'>, writer: Writing<In>) {
    this.#db = db
    this.#writer = writer
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
    return this.#db.underWay(() => {
      let together = this.#claims.get(queue)
      if (together === undefined) {
        together = new Coalescer(
          (calls) => this.claimAll(queue, calls),
          ({ limit }) => limit,
          TOGETHER,
          () => this.#claims.delete(queue),
        )
        this.#claims.set(queue, together)
      }
      return together.do(call)
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
      const expired = await this.expired(transaction, now, startedSince, limit)
      await transaction.jobs.lock(expired)
      const jobs = expired.flatMap((id) => transaction.jobs.find(id) ?? []).filter((job) => hasExpired(job, now))
      const names = await transaction.names(jobs.map(({ queueId }) => queueId))
      const moved = jobs.map((job) => {
        const { state } = this.settleJob(transaction, job, expiry(job.deadline, now), now, now)!
        return { id: job.id, queue: names.get(job.queueId)!, state }
      })
      await transaction.lanes.balance(now)
      return moved
    })
  }

  renew({ now, id, worker, lease, start }: Params<'renew'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      if (start) await this.lockIfLimited(transaction, id)
      await transaction.jobs.lock([id])
      const job = transaction.jobs.find(id)
      if (job === undefined) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (isFinished(state) && start) return { id, error: new OctoflowError('job_finished', { id, state }) }
      if (state === 'running') {
        const leaseUntil = Math.min(now + lease, job.deadline ?? Number.POSITIVE_INFINITY)
        transaction.jobs.change(job, { leaseUntil, ...(start && { statusLabel: null }) })
      } else if (start) {
        if (!(await this.#hasRoom(transaction, job))) return { id, error: new OctoflowError('job_must_wait', { id }) }
        leaseTo(transaction, job, worker, now, now + lease)
        await transaction.lanes.balance(now)
      }
      return { id, error: null }
    })
  }

  abstract shift(params: Params<'shift'>): Promise<void>

  protected abstract claimAll(queue: string, calls: readonly ClaimCall[]): Promise<readonly Claim[]>

  protected abstract reportAll(reports: readonly TimedReport[]): Promise<readonly ReportResult[]>

  /** Jobs whose leases have run out. */
  protected abstract expired(transaction: In, now: Instant, startedSince: Instant, limit: number): Promise<readonly number[]>

  /** Renews leases, each of another job, in order of id. @returns those that were not lost. */
  protected abstract renewAll(transaction: In, beats: readonly TimedBeat[]): Promise<ReadonlyMap<number, BeatResult>>

  /** Where the queue of a job has limits, who starts the job holds the queue. */
  protected abstract lockIfLimited(transaction: In, jobId: number): Promise<void>

  protected abstract runningIn(transaction: In, queueId: number): Promise<number>

  /** @returns `null` where the outcome does not apply to the state of the job, which is locked. */
  protected abstract settleJob(
    transaction: In,
    job: JobRecord,
    outcome: Outcome,
    finishedAt: Instant,
    now: Instant,
  ): Settlement | null

  async #report(calls: readonly Params<'report'>[]): Promise<readonly (readonly ReportResult[])[]> {
    const reports = calls.flatMap(({ now, reports: of }) => of.map((report) => timed(report, now)))
    if (reports.length === 0) return calls.map(() => [])
    const results = await this.reportAll(reports)
    return shareOut(
      calls.map(({ reports: of }) => of.length),
      results,
    )
  }

  async #heartbeat(calls: readonly Params<'heartbeat'>[]): Promise<readonly (readonly BeatResult[])[]> {
    const beats = calls.flatMap(({ now, beats: of }) => of.map((beat) => ({ ...beat, now })))
    const results = await this.#writer.transact((transaction) => this.#renewInRounds(transaction, beats), { repeatable: true })
    return shareOut(
      calls.map(({ beats: of }) => of.length),
      results,
    )
  }

  /** Several beats of one job are done one after the other, the others together. */
  async #renewInRounds(transaction: In, beats: readonly TimedBeat[]): Promise<readonly BeatResult[]> {
    const results: BeatResult[] = []
    let left = [...beats.entries()]
    while (left.length > 0) {
      const round = new Map<number, readonly [number, TimedBeat]>()
      for (const one of left) if (!round.has(one[1].id)) round.set(one[1].id, one)
      left = left.filter((one) => round.get(one[1].id) !== one)
      const renewed = await this.renewAll(
        transaction,
        [...round.values()].map(([, beat]) => beat).sort((a, b) => a.id - b.id),
      )
      for (const [index, { id }] of round.values())
        results[index] = renewed.get(id) ?? { id, leaseUntil: null, cancelRequested: false }
    }
    return results
  }

  /** Whether one more job of its queue and of its key may run. */
  async #hasRoom(transaction: In, { queueId, concurrencyKey }: JobRecord): Promise<boolean> {
    const { concurrency, keyConcurrency } = transaction.settingsOf(queueId)
    if (concurrency !== null && (await this.runningIn(transaction, queueId)) >= concurrency) return false
    if (concurrencyKey === null) return true
    const lane = transaction.lanes.get(queueId, concurrencyKey)
    await transaction.lanes.lock()
    return lane.running < keyConcurrency
  }
}

const hasExpired = ({ stage, leaseUntil }: JobRecord, now: Instant): boolean =>
  stage === Stage.running && leaseUntil !== null && leaseUntil <= now

/** Leases a job that a client without tokens works on although it did not claim it. */
function leaseTo(transaction: LeasingTransaction, job: JobRecord, worker: string, now: Instant, until: Instant): void {
  const { queueId, concurrencyKey, runAt, timeout } = job
  const deadline = timeout === null ? null : deadlineOf(now, timeout)
  transaction.lanes.rates.countStarts(queueId, concurrencyKey, now)
  const stats = transaction.stats(queueId, now)
  stats.started++
  stats.waited += Math.max(0, now - runAt)
  transaction.jobs.change(job, {
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
}
