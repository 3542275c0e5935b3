import type { ClaimedJob, EventInput, HeartbeatAnswer, HeartbeatRequest, JobReport, ReportAnswer } from '@octoflow/protocol'
import { WorkerError } from './worker-error.ts'

/**
 * How a worker speaks to its server: over HTTP, or by calls where it runs inside the server.
 *
 * A call that did not succeed rejects: with a `TransportError` where the worker should do anything but try again, with
 * whatever else otherwise. Every call may be repeated, since an answer can be lost on its way.
 */
export interface Transport {
  /**
   * Leases at most `limit` jobs of a queue, waiting up to `waitSeconds` for the first. When `signal` fires it stops
   * waiting; jobs that were leased by then should still be handed over, because nobody else can have them.
   */
  claim(params: ClaimParams): Promise<Claim>

  /** Renews leases, tells progress and brings back commands; at most 1000 jobs, each once. */
  heartbeat(params: HeartbeatParams): Promise<Beats>

  /** Settles attempts; at most 1000 jobs, each once. A repeated report is answered with `ok`. */
  report(params: ReportParams): Promise<Reported>

  /** Adds events and log lines to a job's timeline, in this order. */
  event(params: EventParams): Promise<void>

  /** Gives back what the transport holds; calls under way may reject. */
  close?(): Promise<void>
}

export interface ClaimParams {
  readonly workerId: string
  readonly queue: string
  readonly limit: number
  readonly waitSeconds: number
  readonly leaseSeconds: number
  readonly signal: AbortSignal
}

export interface Claim {
  readonly jobs: readonly ClaimedJob[]
  /** An operator asks this worker to take no more jobs. */
  readonly drain: boolean
}

export interface HeartbeatParams {
  readonly workerId: string
  readonly leaseSeconds: number
  readonly jobs: readonly HeartbeatRequest['jobs'][number][]
  /** Fires when the worker no longer waits for the answer. */
  readonly signal: AbortSignal
}

/** For each job how to go on with it, in any order. */
export interface Beats {
  readonly jobs: readonly HeartbeatAnswer['jobs'][number][]
}

export interface ReportParams {
  readonly workerId: string
  readonly jobs: readonly Report[]
  readonly signal: AbortSignal
}

/**
 * How an attempt ended. The result is JSON text, not a value: the worker had to print it anyway to know that it can be,
 * and who stores it needs nothing else.
 */
export type Report = Readonly<Omit<JobReport, 'result'>> & { readonly resultJson?: string }

/** For each job whether its report was taken, in any order. */
export interface Reported {
  readonly jobs: readonly ReportAnswer['jobs'][number][]
}

export interface EventParams {
  readonly workerId: string
  readonly id: number
  readonly events: readonly EventInput[]
  readonly signal: AbortSignal
}

/**
 * What a failed call means for the worker.
 * - `refused`: the credential is not accepted; trying again is pointless.
 * - `rejected`: what was sent does not fit; the same again would not either.
 * - `misdirected`: something answers, but not as Octoflow would; a wrong address, or a proxy during a deployment.
 * - `unavailable`: no answer, or one that says to try again later.
 */
export type TransportErrorKind = 'refused' | 'rejected' | 'misdirected' | 'unavailable'

export class TransportError extends WorkerError {
  override readonly name = 'TransportError'
  readonly kind: TransportErrorKind
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | null

  constructor(
    kind: TransportErrorKind,
    code: string,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number | null } = {},
  ) {
    super(code, message, options)
    this.kind = kind
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}

export const isTransportError = (error: unknown, ...kinds: readonly TransportErrorKind[]): error is TransportError =>
  error instanceof TransportError && (kinds.length === 0 || kinds.includes(error.kind))
