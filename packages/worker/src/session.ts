import { randomBytes } from 'node:crypto'
import { Claimer } from './claimer.ts'
import type { CancelTimer, Clock } from './clock.ts'
import { Connection } from './connection.ts'
import { Heartbeats } from './heartbeats.ts'
import { OBEY_WITHIN_MS } from './job-run.ts'
import { JobsInHand } from './jobs-in-hand.ts'
import type { Logger } from './logger.ts'
import { Reporter } from './reporter.ts'
import type { Runner } from './runner.ts'
import type { Transport } from './transport.ts'
import { messageOf } from './worker-error.ts'

/** How long the last reports may take once the time to stop is up. */
const LAST_REPORTS_MS = 5_000

export interface SessionOptions {
  readonly transport: Transport
  /** Started already. */
  readonly runner: Runner
  readonly clock: Clock
  /** Uniform in 0 … 1. */
  readonly random: () => number
  readonly logger: Logger
  readonly name: string
  readonly queues: readonly string[]
  readonly concurrency: number
  readonly leaseSeconds: number
  /** How long the jobs in hand may take when the server refuses the worker. */
  readonly stopTimeoutMs: number
}

/**
 * A worker from its start to its end: claims jobs, runs them and reports them until it is stopped, drained by an operator
 * or refused by the server.
 */
export class Session {
  /** New each time: an operator's order to drain is kept under it and must not meet the worker's next start. */
  readonly id: string
  readonly #options: SessionOptions
  readonly #claimer: Claimer
  readonly #reporter: Reporter
  readonly #heartbeats: Heartbeats
  readonly #jobs: JobsInHand
  readonly #ended = Promise.withResolvers<void>()
  #state: 'open' | 'stopping' | 'closing' = 'open'
  #claiming = true
  #failure: unknown = null
  #deadline = Infinity
  #cancelTimers: CancelTimer[] = []

  constructor(options: SessionOptions) {
    this.#options = options
    this.id = `${options.name}-${process.pid}-${randomBytes(4).toString('hex')}`
    const { clock, logger } = options
    const connection = new Connection(clock, options.random, logger)
    const shared = { ...options, workerId: this.id, connection }
    this.#reporter = new Reporter({
      ...shared,
      channel: connection.open('reporting outcomes'),
      refused: (error) => this.#fail(error),
      relieved: () => this.#claimer.resume(),
    })
    this.#jobs = new JobsInHand({
      ...shared,
      reporter: this.#reporter,
      progressed: () => this.#heartbeats.progressed(),
      slotFreed: () => this.#claimer.wake(),
      emptied: () => this.#endIfDone(),
    })
    this.#heartbeats = new Heartbeats({
      ...shared,
      channel: connection.open('sending heartbeats'),
      held: this.#jobs.byId,
      drain: () => this.#drain(),
      lost: (run) => this.#jobs.lose(run),
    })
    this.#claimer = new Claimer({
      ...shared,
      free: () => this.#jobs.freeSlots,
      heldUp: () => this.#reporter.clogged,
      take: (jobs, askedAt) => this.#jobs.take(jobs, askedAt, this.#state === 'open'),
      drain: () => this.#drain(),
      fail: (error) => this.#fail(error),
    })
    this.#ended.promise.catch(() => undefined)
  }

  /** Resolves when all is over; rejects with what ended the session if nobody asked for its end. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  start(): void {
    const { queues, concurrency, logger } = this.#options
    logger.info('The worker takes jobs.', { workerId: this.id, queues: queues.join(', '), concurrency })
    this.#heartbeats.start()
    this.#claimer.wake()
  }

  /**
   * Claims no more, and ends when nothing is in hand. Called again, it can only bring the end forward.
   * @param timeoutMs after so long the signals of the jobs in hand fire, and those that do not obey are given back.
   */
  stop(timeoutMs: number): void {
    if (this.#state === 'closing') return
    const deadline = this.#options.clock.now() + timeoutMs
    if (deadline < this.#deadline) {
      this.#deadline = deadline
      this.#cancelAll()
      this.#after(timeoutMs, () => this.#abort())
    }
    if (this.#state === 'open') this.#beginStop()
  }

  #beginStop(): void {
    this.#state = 'stopping'
    this.#options.logger.info('The worker is stopping.', { workerId: this.id, jobsInHand: this.#jobs.byId.size })
    void this.#claimer.close().then(() => {
      this.#claiming = false
      this.#endIfDone()
    })
  }

  #drain(): void {
    if (this.#state !== 'open') return
    this.#options.logger.info('An operator asks this worker to take no more jobs.', { workerId: this.id })
    this.stop(Infinity)
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#options.logger.error('The worker cannot go on.', { workerId: this.id, error: messageOf(error) })
    this.stop(this.#options.stopTimeoutMs)
  }

  /** The time to stop is up. */
  #abort(): void {
    this.#jobs.abortAll()
    this.#reporter.hurry()
    this.#after(OBEY_WITHIN_MS, () => this.#jobs.releaseAll())
    this.#after(LAST_REPORTS_MS, () => this.#giveUp())
  }

  /** The server does not answer, and the time to wait for it is over. */
  #giveUp(): void {
    const unreported = this.#jobs.byId.size
    if (unreported > 0)
      this.#options.logger.error('The worker ends with outcomes that the server was not told; these jobs will run again.', {
        unreported,
      })
    this.#claiming = false
    this.#reporter.giveUp()
    this.#jobs.close()
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (this.#state !== 'stopping' || this.#claiming || this.#jobs.byId.size > 0) return
    this.#state = 'closing'
    this.#cancelAll()
    this.#heartbeats.stop()
    this.#reporter.giveUp()
    this.#jobs.close()
    void this.#options.runner.stop().then(() => this.#close())
  }

  #close(): void {
    this.#options.logger.info('The worker has stopped.', { workerId: this.id })
    if (this.#failure === null) this.#ended.resolve()
    else this.#ended.reject(this.#failure)
  }

  #after(delay: number, callback: () => void): void {
    if (delay !== Infinity) this.#cancelTimers.push(this.#options.clock.after(delay, callback))
  }

  #cancelAll(): void {
    for (const cancel of this.#cancelTimers) cancel()
    this.#cancelTimers = []
  }
}
