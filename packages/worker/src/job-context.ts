import type { ClaimedJob } from '@octoflow/protocol'
import { jsonCopy } from './json.ts'
import { LOG_LEVELS, type Logger, type LogLevel } from './logger.ts'
import { failureOf, type Outcome, outcomeOf } from './outcome.ts'
import { messageOf } from './worker-error.ts'

/** The request that the job hangs on. Times are ISO 8601 in UTC. */
export interface CapturedRequest<Body = unknown> {
  readonly id: number
  readonly timestamp: string
  readonly sourceIp: string | null
  readonly userAgent: string | null
  readonly method: string
  readonly url: string
  readonly contentType: string | null
  readonly headers: Readonly<Record<string, string>>
  /** The queue's name. */
  readonly customValue: string
  /** The payload: what was sent, parsed. */
  readonly body: Body
}

/** The job in hand, and what its handler can tell about it. */
export interface Job {
  readonly id: number
  readonly queue: string
  /** Counted from 1. */
  readonly attempt: number
  readonly maxAttempts: number
  /** 0, the most urgent, to 9. */
  readonly priority: number
  readonly labels: Readonly<Record<string, string>>
  readonly concurrencyKey: string | null
  readonly createdAt: string
  /** Fires when the work should stop; its reason's `code` says why: cancelled, lease_lost, lease_expired, timeout, shutdown. */
  readonly signal: AbortSignal
  /** The worker's own log, with the job's id on each line. */
  readonly logger: Logger
  /**
   * Puts an event on the job's timeline, at once and in order.
   * @param data any JSON value.
   * @returns when it is stored. It never rejects for the server's sake: what cannot be sent now goes with the outcome.
   */
  event(message: string, data?: unknown): Promise<void>
  /** Puts a log line on the job; lines are sent together, with the next heartbeat, event or outcome. */
  log(level: LogLevel, message: string, data?: unknown): void
  /** @param fraction 0 to 1, or `null` if it cannot be told; what lies outside counts as the nearer end. */
  progress(fraction: number | null, message?: string): void
}

/**
 * The user's function.
 * @returns `true` or nothing: completed; `false`: failed; any other JSON value: completed, with this result; or what
 *   `snooze`, `discard` or `cancel` made. Throwing means failed.
 */
export type ProcessFunction<Body = unknown> = (request: CapturedRequest<Body>, job: Job) => unknown

/** A claimed job without what only its holder needs to know. */
export type JobData = Omit<ClaimedJob, 'leaseToken' | 'leaseUntil'>

/** Where a handler's words go; arguments have been checked, data is JSON. */
export interface JobHooks {
  readonly signal: AbortSignal
  readonly logger: Logger
  event(message: string, data: unknown): Promise<void>
  log(level: LogLevel, message: string, data: unknown): void
  progress(fraction: number | null, message: string | null): void
}

/** Runs the handler on a job. Never rejects. */
export async function execute(handler: ProcessFunction, data: JobData, hooks: JobHooks): Promise<Outcome> {
  try {
    return outcomeOf(await handler(requestOf(data), jobOf(data, hooks)))
  } catch (error) {
    return failureOf(error)
  }
}

const requestOf = ({ request, payload }: JobData): CapturedRequest => ({ ...request, body: payload })

/** Signal and logger are made when they are asked for: most handlers use neither. */
function jobOf(data: JobData, hooks: JobHooks): Job {
  return {
    id: data.id,
    queue: data.queue,
    attempt: data.attempt,
    maxAttempts: data.maxAttempts,
    priority: data.priority,
    labels: data.labels,
    concurrencyKey: data.concurrencyKey,
    createdAt: data.createdAt,
    get signal() {
      return hooks.signal
    },
    get logger() {
      return hooks.logger
    },
    event: (message, value) => hooks.event(messageText('event', message), copied('event', value)),
    log: (level, message, value) => {
      if (!LOG_LEVELS.includes(level))
        throw new TypeError(`job.log() takes one of the levels ${LOG_LEVELS.join(', ')}, not ${level}.`)
      hooks.log(level, messageText('log', message), copied('log', value))
    },
    progress: (fraction, message) => hooks.progress(checkedFraction(fraction), message?.slice(0, LONGEST_PROGRESS) ?? null),
  }
}

const LONGEST_EVENT = 65_536
const LONGEST_PROGRESS = 1_024

function messageText(method: string, message: unknown): string {
  if (typeof message !== 'string') throw new TypeError(`job.${method}() takes a message, not ${typeof message}.`)
  return message.slice(0, LONGEST_EVENT)
}

/** A copy: data is sent later, and what the handler does to its own object meanwhile must not show. */
function copied(method: string, data: unknown): unknown {
  if (data === undefined) return undefined
  try {
    return jsonCopy(data)
  } catch (error) {
    throw new TypeError(`The data given to job.${method}() is not JSON: ${messageOf(error)}`, { cause: error })
  }
}

function checkedFraction(fraction: unknown): number | null {
  if (fraction === null) return null
  if (typeof fraction !== 'number' || Number.isNaN(fraction))
    throw new TypeError('job.progress() takes a fraction from 0 to 1, or null.')
  return Math.min(1, Math.max(0, fraction))
}
