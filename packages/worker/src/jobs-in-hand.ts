import type { ClaimedJob, EventInput } from '@octoflow/protocol'
import { AbortCause } from './abort.ts'
import type { Clock } from './clock.ts'
import type { Connection } from './connection.ts'
import { JobRun, type RunServices } from './job-run.ts'
import { JobTimeline } from './job-timeline.ts'
import type { Logger } from './logger.ts'
import { failed, type Outcome, RELEASED } from './outcome.ts'
import { reportOf } from './report.ts'
import type { Reporter } from './reporter.ts'
import type { Runner } from './runner.ts'
import type { Transport } from './transport.ts'

export interface JobsInHandOptions {
  readonly transport: Transport
  readonly workerId: string
  readonly runner: Runner
  readonly reporter: Reporter
  readonly connection: Connection
  readonly clock: Clock
  readonly logger: Logger
  readonly leaseSeconds: number
  readonly concurrency: number
  readonly progressed: () => void
  /** A handler has ended. */
  readonly slotFreed: () => void
  readonly emptied: () => void
}

/**
 * The jobs that this worker has leased, from the claim until the server knows how they ended, and the slots in which their
 * handlers run. A slot is taken until its handler has ended, also when the job is in hand no longer.
 */
export class JobsInHand {
  readonly byId: ReadonlyMap<number, JobRun>
  readonly #held = new Map<number, JobRun>()
  readonly #options: JobsInHandOptions
  readonly #services: RunServices
  /** Handlers that have not ended. */
  readonly #running = new Set<JobRun>()

  constructor(options: JobsInHandOptions) {
    this.#options = options
    this.byId = this.#held
    this.#services = {
      clock: options.clock,
      logger: options.logger,
      openTimeline: (run) => this.#openTimeline(run),
      progressed: options.progressed,
      overdue: (run) => this.#overdue(run),
    }
  }

  get freeSlots(): number {
    return this.#options.concurrency - this.#running.size
  }

  /**
   * Starts claimed jobs; those beyond the free slots, or all if none may `start`, are given back. So are all when the answer
   * may have waited for this process longer than the leases last, because it was frozen: others may have the jobs by now.
   * @param askedAt when they were asked for. When the leases began is not known, but not before.
   * @returns how many were started.
   */
  take(jobs: readonly ClaimedJob[], askedAt: number, start: boolean): number {
    let started = 0
    const leaseEndsAt = askedAt + this.#options.leaseSeconds * 1_000
    const mayStart = start && leaseEndsAt > this.#options.clock.now()
    for (const job of jobs) {
      // The server gives a job out again only when the lease before is over.
      const before = this.#held.get(job.id)
      if (before !== undefined && !before.concluded) this.lose(before)
      const run = new JobRun(job, leaseEndsAt, this.#services)
      this.#held.set(job.id, run)
      if (mayStart && this.freeSlots > 0) {
        this.#begin(run)
        started++
      } else this.#conclude(run, RELEASED)
    }
    return started
  }

  /** The lease is gone: the handler is told, and nothing is ever reported. */
  lose(run: JobRun): void {
    run.logger.warn('The lease on the job is lost; another worker may have it.')
    run.abort(AbortCause.leaseLost)
    run.timeline?.abandon()
    this.#forget(run)
  }

  abortAll(): void {
    for (const run of this.#held.values()) run.abort(AbortCause.shutdown)
  }

  /** Gives back the jobs whose handlers have not ended. */
  releaseAll(): void {
    for (const run of [...this.#held.values()]) if (!run.concluded) this.#end(run, RELEASED)
  }

  /** Waits for nothing any more, neither for handlers nor for the server. */
  close(): void {
    for (const run of [...this.#held.values(), ...this.#running]) {
      run.dispose()
      run.timeline?.abandon()
    }
    this.#held.clear()
  }

  #begin(run: JobRun): void {
    this.#running.add(run)
    void this.#options.runner.run(run).then((outcome) => {
      this.#running.delete(run)
      // Reported before more is claimed: what the outcome frees may be what the next claim needs.
      this.#conclude(run, outcome)
      this.#options.slotFreed()
    })
  }

  #overdue(run: JobRun): void {
    this.#end(run, failed('The handler did not end when its signal fired.', 'timeout'))
  }

  /** Settles the outcome of a handler that has not ended, and ends the handler where that is possible. */
  #end(run: JobRun, outcome: Outcome): void {
    this.#conclude(run, outcome)
    if (!this.#options.runner.kill(run))
      run.logger.warn(
        'The handler goes on although its signal has fired. It keeps its slot until it ends; only isolation can end it.',
      )
  }

  #conclude(run: JobRun, outcome: Outcome): void {
    if (run.concluded) return
    const settled = run.conclude(outcome)
    if (settled === null) return
    if (settled.kind === 'failed')
      run.logger.warn('The job failed.', { error: settled.error.message, code: settled.error.code })
    const { timeline } = run
    if (timeline === null) this.#report(run, settled, NO_EVENTS)
    else void timeline.close().then((events) => this.#report(run, settled, events))
  }

  #report(run: JobRun, outcome: Outcome, events: readonly EventInput[]): void {
    this.#options.reporter.add(reportOf(run, outcome, events), () => this.#forget(run))
  }

  #forget(run: JobRun): void {
    // A later attempt at the same job may have taken its place.
    if (this.#held.get(run.id) === run) this.#held.delete(run.id)
    if (this.#held.size === 0) this.#options.emptied()
  }

  #openTimeline(run: JobRun): JobTimeline {
    const { transport, workerId, connection } = this.#options
    const { id, logger } = run
    const timeline = new JobTimeline({
      id,
      workerId,
      transport,
      channel: connection.open(`sending events of job ${id}`),
      logger,
    })
    // Words that come after the end are refused by the timeline, with a warning.
    if (run.concluded || run.lost) timeline.abandon()
    return timeline
  }
}

const NO_EVENTS: readonly EventInput[] = []
