import { AbortCause } from './abort.ts'
import type { CancelTimer, Clock } from './clock.ts'
import type { Channel } from './connection.ts'
import type { JobRun } from './job-run.ts'
import type { Beats, HeartbeatParams, Transport } from './transport.ts'

const LARGEST_BATCH = 1_000

const PROGRESS_EVERY_MS = 1_000

export interface HeartbeatsOptions {
  readonly transport: Transport
  readonly workerId: string
  readonly leaseSeconds: number
  readonly clock: Clock
  readonly channel: Channel
  /** The jobs in hand by id, those whose report is under way included. */
  readonly held: ReadonlyMap<number, JobRun>
  readonly drain: () => void
  readonly lost: (run: JobRun) => void
}

/**
 * Renews the leases on all jobs in hand by one call every third of a lease, so that two calls may fail before one is lost;
 * between those, tells progress at most once a second. One timer serves it all: the path of a job arms none.
 */
export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #period: number
  readonly #hangUp = new AbortController()
  #beatAt = 0
  #progressAt = Infinity
  #progressSentAt = -Infinity
  #beating = false
  #backingOff = false
  #stopped = false
  #cancelTimer: CancelTimer = () => undefined

  constructor(options: HeartbeatsOptions) {
    this.#options = options
    this.#period = (options.leaseSeconds * 1_000) / 3
  }

  start(): void {
    this.#beatAt = this.#options.clock.now() + this.#period
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer()
    this.#hangUp.abort()
    this.#options.channel.close()
  }

  /** There is progress to tell. */
  progressed(): void {
    if (this.#progressAt !== Infinity || this.#stopped) return
    this.#progressAt = Math.max(this.#options.clock.now(), this.#progressSentAt + PROGRESS_EVERY_MS)
    if (!this.#beating) this.#arm()
  }

  #arm(): void {
    this.#cancelTimer()
    if (this.#stopped) return
    const { clock } = this.#options
    const now = clock.now()
    const nextBeat = this.#beating ? now + this.#period : Math.min(this.#beatAt, this.#progressAt)
    const wakeAt = Math.min(nextBeat, this.#earliestLeaseEnd())
    this.#cancelTimer = clock.after(wakeAt - now, () => this.#wake())
  }

  #wake(): void {
    const now = this.#options.clock.now()
    this.#expire(now)
    if (this.#beating) this.#arm()
    else if (now >= this.#beatAt) void this.#beat([...this.#options.held.values()], true)
    else if (now >= this.#progressAt)
      void this.#beat(
        [...this.#options.held.values()].filter((run) => run.hasProgress),
        false,
      )
    else this.#arm()
  }

  async #beat(runs: readonly JobRun[], all: boolean): Promise<void> {
    const { clock, channel } = this.#options
    const begunAt = clock.now()
    this.#beating = true
    this.#progressAt = Infinity
    this.#progressSentAt = begunAt
    if (all) this.#beatAt = begunAt + this.#period
    // While a call hangs, leases may end.
    this.#arm()
    try {
      for (let from = 0; from < runs.length; from += LARGEST_BATCH) await this.#send(runs.slice(from, from + LARGEST_BATCH))
      if (runs.length > 0) channel.succeeded()
      else channel.withdraw()
    } catch (error) {
      if (!this.#stopped) this.#noteFailure(error)
    }
    this.#beating = false
    if (all) for (const run of runs) run.timeline?.flush()
    this.#arm()
  }

  #noteFailure(error: unknown): void {
    if (this.#backingOff) this.#options.channel.failed(error)
    else void this.#retry(error)
  }

  /** Beats again before the next third of a lease is over, and at once when another call finds the server back. */
  async #retry(error: unknown): Promise<void> {
    this.#backingOff = true
    await this.#options.channel.backOff(error)
    this.#backingOff = false
    this.#beatAt = Math.min(this.#beatAt, this.#options.clock.now())
    if (!this.#beating) this.#arm()
  }

  async #send(runs: readonly JobRun[]): Promise<void> {
    const { transport, workerId, leaseSeconds, clock } = this.#options
    const sentAt = clock.now()
    const told = new Map<number, JobRun>()
    const progress = new Map<JobRun, Beat['progress']>()
    const jobs = runs.map((run): Beat => {
      told.set(run.id, run)
      const { id, leaseToken } = run.claimed
      const news = run.hasProgress ? run.takeProgress() : null
      if (news === null) return { id, leaseToken }
      progress.set(run, news)
      return { id, leaseToken, progress: news }
    })
    try {
      const answer = await transport.heartbeat({ workerId, leaseSeconds, jobs, signal: this.#hangUp.signal })
      for (const item of answer.jobs) this.#obey(told.get(item.id), item, sentAt + leaseSeconds * 1_000)
    } catch (error) {
      for (const [run, news] of progress) run.restoreProgress(news!)
      if (progress.size > 0) this.progressed()
      throw error
    }
  }

  #obey(run: JobRun | undefined, { command }: Beats['jobs'][number], leaseEndsAt: number): void {
    if (run === undefined || this.#stopped) return
    if (command === 'lost') {
      // A report that is on its way may have ended the lease; its answer tells.
      if (!run.concluded) this.#options.lost(run)
      return
    }
    run.leaseEndsAt = leaseEndsAt
    if (command === 'cancel') run.abort(AbortCause.cancelled)
    if (command === 'drain') this.#options.drain()
  }

  /** The server could not be told in time: it may have given these jobs to others. */
  #expire(now: number): void {
    for (const run of this.#options.held.values()) if (run.leaseEndsAt <= now) run.abort(AbortCause.leaseExpired)
  }

  #earliestLeaseEnd(): number {
    let earliest = Infinity
    for (const run of this.#options.held.values())
      if (!run.concluded && !run.wasAborted(AbortCause.leaseExpired)) earliest = Math.min(earliest, run.leaseEndsAt)
    return earliest
  }
}

type Beat = HeartbeatParams['jobs'][number]
