import type { ClaimAnswer, HeartbeatAnswer, ReportAnswer, ClaimedJob as WireJob } from '@octoflow/protocol'
import type { ClaimParams, EventParams, HeartbeatParams, Report, ReportParams, Transport } from '@octoflow/worker'
import type { ReportedOutcome, Work, WorkReport } from '../core/engine/work.ts'
import type { Jobs } from '../core/jobs/jobs.ts'
import { fromIso, SECOND, seconds, toIso, toIsoOrNull } from '../lib/time.ts'
import type { Principal } from '../model/access.ts'
import { DeadReason, type JobError } from '../model/job.ts'
import type { NewEvent } from '../storage/contract/events.ts'
import type { ClaimedJob } from '../storage/contract/leases.ts'
import { VERSION } from '../version.ts'

const AGENT = `octoflow-handlers/${VERSION}`

const HANDLERS: Principal = { name: 'handlers', role: 'worker', queues: null }

/** How a worker inside the server speaks to the engine: the worker protocol without the wire. */
export class EngineTransport implements Transport {
  readonly #work: Work
  readonly #jobs: Jobs

  constructor(work: Work, jobs: Jobs) {
    this.#work = work
    this.#jobs = jobs
  }

  async claim({ workerId, queue, limit, waitSeconds, leaseSeconds, signal }: ClaimParams): Promise<ClaimAnswer> {
    const wish = { queue, worker: workerId, limit, wait: seconds(waitSeconds), lease: seconds(leaseSeconds), signal }
    const { jobs, drain } = await this.#work.claim(wish, HANDLERS, AGENT)
    return { jobs: jobs.map((job) => toWireJob(job, queue)), drain }
  }

  async heartbeat({ workerId, leaseSeconds, jobs }: HeartbeatParams): Promise<HeartbeatAnswer> {
    const beats = jobs.map(({ id, leaseToken, progress }) => ({
      id,
      fence: Number(leaseToken),
      progress: progress === undefined ? null : { fraction: progress.fraction ?? null, message: progress.message ?? null },
    }))
    const results = await this.#work.heartbeat(workerId, seconds(leaseSeconds), beats, HANDLERS)
    return { jobs: results.map(({ id, leaseUntil, command }) => ({ id, leaseUntil: toIsoOrNull(leaseUntil), command })) }
  }

  async report({ workerId, jobs }: ReportParams): Promise<ReportAnswer> {
    const results = await this.#work.report(workerId, jobs.map(toWorkReport), HANDLERS)
    return {
      jobs: results.map(({ id, error }) =>
        error === null ? { id, ok: true } : { id, ok: false, code: error.code, message: error.message },
      ),
    }
  }

  async event({ id, events }: EventParams): Promise<void> {
    await this.#jobs.addEvents(id, events.map(toNewEvent), HANDLERS)
  }
}

function toWireJob(job: ClaimedJob, queue: string): WireJob {
  const { id, fence, leaseUntil, attempt, maxAttempts, priority, createdAt, runAt, timeout, concurrencyKey, labels, payload } =
    job
  const { sourceIp, userAgent, method, url, contentType, headers } = job.request
  const timestamp = toIso(createdAt)
  return {
    id,
    queue,
    leaseToken: String(fence),
    leaseUntil: toIso(leaseUntil),
    attempt,
    maxAttempts,
    priority,
    createdAt: timestamp,
    runAt: toIso(runAt),
    timeoutSeconds: timeout === null ? null : timeout / SECOND,
    concurrencyKey,
    labels,
    payload: JSON.parse(payload),
    request: { id, timestamp, sourceIp, userAgent, method, url, contentType, headers, customValue: queue },
  }
}

const toWorkReport = (report: Report): WorkReport => ({
  id: report.id,
  fence: Number(report.leaseToken),
  outcome: toOutcome(report),
  events: (report.events ?? []).map(toNewEvent),
})

function toOutcome({ outcome, resultJson, error, reason, delaySeconds }: Report): ReportedOutcome {
  switch (outcome) {
    case 'completed':
      return { kind: outcome, result: resultJson ?? null }
    case 'failed':
      return { kind: outcome, error: toJobError(error, 'The handler failed.') }
    case 'snoozed':
      return { kind: outcome, delay: seconds(delaySeconds ?? 0) }
    case 'discarded':
      return {
        kind: outcome,
        reason: reason ?? DeadReason.discarded,
        error: error === undefined ? null : toJobError(error, reason ?? ''),
      }
    case 'cancelled':
      return { kind: outcome, reason: reason ?? null }
    case 'released':
      return { kind: outcome }
  }
}

function toJobError(error: Report['error'], fallback: string): JobError {
  if (error === undefined || typeof error === 'string') return { message: error ?? fallback, code: null, detail: null }
  return { message: error.message ?? fallback, code: error.code ?? null, detail: error.detail ?? null }
}

const toNewEvent = ({
  message,
  kind = 'event',
  level = 'info',
  data,
  at,
}: NonNullable<Report['events']>[number]): NewEvent => ({
  kind,
  level,
  message,
  data: data === undefined ? null : JSON.stringify(data),
  at: at === undefined ? null : fromIso(at),
})
