import type { ClaimedJob, Progress } from '@octoflow/protocol'
import { AbortCause, JobAbortedError } from './abort.ts'
import type { CancelTimer, Clock } from './clock.ts'
import type { JobHooks } from './job-context.ts'
import type { JobTimeline } from './job-timeline.ts'
import { type Logger, type LogLevel, withFields } from './logger.ts'
import { failed, type Outcome, RELEASED } from './outcome.ts'

/** How long a handler has to end once its signal has fired for good. */
export const OBEY_WITHIN_MS = 1_000

export interface RunServices {
  readonly clock: Clock
  readonly logger: Logger
  openTimeline(run: JobRun): JobTimeline
  /** Some job has progress to tell. */
  progressed(): void
  /** The handler's time is up, and it did not obey its signal either. */
  overdue(run: JobRun): void
}

/** One attempt at one job, from the claim until the server knows how it ended. */
export class JobRun implements JobHooks {
  readonly claimed: ClaimedJob
  /** By the worker's own clock. */
  leaseEndsAt: number
  /** Told when the signal fires; for runners that must carry it elsewhere. */
  onAbort: ((reason: JobAbortedError) => void) | null = null
  readonly #services: RunServices
  readonly #causes: AbortCause[] = []
  #controller: AbortController | null = null
  #reason: JobAbortedError | null = null
  #timeline: JobTimeline | null = null
  #logger: Logger | null = null
  #progress: Partial<Progress> | null = null
  #cancelTimer: CancelTimer | null = null
  #concluded = false

  constructor(claimed: ClaimedJob, leaseEndsAt: number, services: RunServices) {
    this.claimed = claimed
    this.leaseEndsAt = leaseEndsAt
    this.#services = services
  }

  get id(): number {
    return this.claimed.id
  }

  /** How it ended is decided, though perhaps not reported yet; the handler may still be running. */
  get concluded(): boolean {
    return this.#concluded
  }

  get aborted(): boolean {
    return this.#reason !== null
  }

  get lost(): boolean {
    return this.wasAborted(AbortCause.leaseLost)
  }

  /** `null` as long as the handler has said nothing. */
  get timeline(): JobTimeline | null {
    return this.#timeline
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#reason !== null) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get logger(): Logger {
    const { id, queue, attempt } = this.claimed
    this.#logger ??= withFields(this.#services.logger, { jobId: id, queue, attempt })
    return this.#logger
  }

  event(message: string, data: unknown): Promise<void> {
    return this.#openTimeline().event(message, data)
  }

  log(level: LogLevel, message: string, data: unknown): void {
    this.#openTimeline().log(level, message, data)
  }

  progress(fraction: number | null, message: string | null): void {
    this.#progress = { fraction, message }
    if (!this.#concluded) this.#services.progressed()
  }

  get hasProgress(): boolean {
    return this.#progress !== null && !this.#concluded
  }

  takeProgress(): Partial<Progress> | null {
    const progress = this.#progress
    this.#progress = null
    return progress
  }

  /** It could not be told after all; what was said meanwhile is newer. */
  restoreProgress(progress: Partial<Progress>): void {
    this.#progress ??= progress
  }

  wasAborted(cause: AbortCause): boolean {
    return this.#causes.includes(cause)
  }

  /** To be called when the handler begins: its time runs from here. */
  started(): void {
    const { timeoutSeconds } = this.claimed
    if (timeoutSeconds === null || this.#concluded) return
    const { clock } = this.#services
    this.#cancelTimer = clock.after(timeoutSeconds * 1_000, () => {
      this.abort(AbortCause.timeout)
      this.#cancelTimer = clock.after(OBEY_WITHIN_MS, () => this.#services.overdue(this))
    })
  }

  /** Fires the job's signal. Later causes are remembered for the outcome; a signal fires once. */
  abort(cause: AbortCause): void {
    if (this.#concluded || this.wasAborted(cause)) return
    this.#causes.push(cause)
    if (this.#reason !== null) return
    this.#reason = new JobAbortedError(cause)
    this.#controller?.abort(this.#reason)
    this.onAbort?.(this.#reason)
  }

  /**
   * Settles how the attempt ended; only the first call counts.
   * @returns what to report; `null` for nothing, since the lease is lost or the outcome was settled before.
   */
  conclude(outcome: Outcome): Outcome | null {
    if (this.#concluded) return null
    this.#concluded = true
    this.#cancelTimer?.()
    return this.lost ? null : this.#judge(outcome)
  }

  /** Stops the clock on the handler. */
  dispose(): void {
    this.#cancelTimer?.()
  }

  /** What an outcome means after an abort. A handler that got to its end in spite of it has completed. */
  #judge(outcome: Outcome): Outcome {
    if (outcome.kind === 'completed') return outcome
    if (this.wasAborted(AbortCause.cancelled))
      return outcome.kind === 'cancelled' ? outcome : { kind: 'cancelled', reason: null }
    if (outcome.kind !== 'failed') return outcome
    if (this.wasAborted(AbortCause.timeout)) return this.#timedOut(outcome.error.detail)
    // It gave up because it was told to: that is no failure of the job's.
    return this.aborted ? RELEASED : outcome
  }

  #timedOut(detail: string | null): Outcome {
    return failed(`The job ran for longer than its timeout of ${this.claimed.timeoutSeconds} s.`, 'timeout', detail)
  }

  #openTimeline(): JobTimeline {
    this.#timeline ??= this.#services.openTimeline(this)
    return this.#timeline
  }
}
