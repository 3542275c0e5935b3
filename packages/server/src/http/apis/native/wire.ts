import type * as wire from '@octoflow/protocol'
import type { AttentionItem } from '../../../core/insight/attention.ts'
import type { DeadLetter } from '../../../core/jobs/dead-letters.ts'
import type { ServedQueue } from '../../../core/jobs/queues.ts'
import type { TimelineEntry } from '../../../core/jobs/timeline.ts'
import type { WaitingReason } from '../../../core/jobs/waiting.ts'
import type { Backoff } from '../../../lib/backoff.ts'
import { withMembers } from '../../../lib/raw-json.ts'
import { DAY, type Duration, SECOND, seconds, toIso, toIsoOrNull } from '../../../lib/time.ts'
import type { ApiKey } from '../../../model/access.ts'
import type { JobEvent } from '../../../model/event.ts'
import type { Attempt, Job } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import type { LogEventFilter } from '../../../model/log-event.ts'
import type { Operation } from '../../../model/operation.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import type { RateLimit } from '../../../model/rate-limit.ts'
import type { CapturedRequest } from '../../../model/request.ts'
import type { WorkerInfo } from '../../../model/worker.ts'
import type { ClaimedJob } from '../../../storage/contract/leases.ts'
import type { StatsSums } from '../../../storage/contract/stats.ts'

/** The model's shapes in the native API's: ISO 8601 times, durations in seconds. */

const toSeconds = (duration: Duration): number => duration / SECOND

export const toBackoff = ({ base, factor, max, jitter }: Backoff): wire.Backoff => ({
  baseSeconds: toSeconds(base),
  factor,
  maxSeconds: toSeconds(max),
  jitter,
})

export const fromBackoff = ({ baseSeconds, factor, maxSeconds, jitter }: wire.Backoff): Backoff => ({
  base: seconds(baseSeconds),
  factor,
  max: seconds(maxSeconds),
  jitter,
})

export function toJob(job: Job): wire.Job {
  return {
    id: job.id,
    requestId: job.id,
    queue: job.queue,
    state: job.state,
    priority: job.priority,
    createdAt: toIso(job.createdAt),
    runAt: toIso(job.runAt),
    startedAt: toIsoOrNull(job.startedAt),
    finishedAt: toIsoOrNull(job.finishedAt),
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    backoff: job.backoff === null ? null : toBackoff(job.backoff),
    leaseUntil: toIsoOrNull(job.leaseUntil),
    worker: job.worker,
    uniqueKey: job.uniqueKey,
    concurrencyKey: job.concurrencyKey,
    timeoutSeconds: job.timeout === null ? null : toSeconds(job.timeout),
    labels: job.labels,
    statusLabel: job.statusLabel,
    progress: job.progress,
    cancelRequested: job.cancelRequested,
    reason: job.reason,
  }
}

export const toAttempt = ({ attempt, worker, startedAt, finishedAt, outcome, error }: Attempt): wire.Attempt => ({
  attempt,
  worker,
  startedAt: toIso(startedAt),
  finishedAt: toIsoOrNull(finishedAt),
  outcome,
  error,
})

/** JSON text: the handler's result and such are passed on as they came. */
export const eventText = ({ id, jobId, at, kind, level, message, data }: JobEvent): string =>
  withMembers({ id, jobId, at: toIso(at), kind, level, message }, { data })

export const timelineText = ({ at, data, ...entry }: TimelineEntry): string =>
  withMembers({ at: toIso(at), ...entry }, { data: data ?? null })

export const toWaitingReason = ({ until, holders, ...reason }: WaitingReason): wire.WaitingReason => ({
  ...reason,
  ...(until !== undefined && { until: toIso(until) }),
  ...(holders !== undefined && { holders: [...holders] }),
})

export function requestText(request: CapturedRequest): string {
  const { body, receivedAt, ...rest } = request
  return withMembers({ ...rest, receivedAt: toIso(receivedAt) }, { body })
}

export const toDeadLetter = ({ job, error, source }: DeadLetter): wire.DeadLetter => ({
  id: job.id,
  queue: job.queue,
  reason: job.reason ?? 'unknown',
  attempts: job.attempt,
  error,
  diedAt: toIso(job.finishedAt ?? job.createdAt),
  createdAt: toIso(job.createdAt),
  origin: { kind: 'job', source, requestId: job.id },
  labels: job.labels,
})

const toRateLimit = (limit: RateLimit | null): wire.RateLimit | null =>
  limit === null ? null : { limit: limit.limit, periodSeconds: toSeconds(limit.period) }

const fromRateLimit = (limit: wire.RateLimit | null): RateLimit | null =>
  limit === null ? null : { limit: limit.limit, period: seconds(limit.periodSeconds) }

export function toQueue({ queue, workers }: ServedQueue): wire.Queue {
  return {
    name: queue.name,
    createdAt: toIso(queue.createdAt),
    paused: queue.paused,
    concurrency: queue.concurrency,
    keyConcurrency: queue.keyConcurrency,
    rateLimit: toRateLimit(queue.rateLimit),
    keyRateLimit: toRateLimit(queue.keyRateLimit),
    maxAttempts: queue.maxAttempts,
    backoff: queue.backoff === null ? null : toBackoff(queue.backoff),
    retentionDays: queue.retention === null ? null : queue.retention / DAY,
    handler: queue.handler,
    counts: queue.counts,
    workers,
  }
}

/** The settings that a change names. */
export function fromQueueChange(change: wire.QueueChange): Partial<QueueSettings> {
  const { rateLimit, keyRateLimit, backoff, retentionDays, ...same } = change
  return {
    ...same,
    ...(rateLimit !== undefined && { rateLimit: fromRateLimit(rateLimit) }),
    ...(keyRateLimit !== undefined && { keyRateLimit: fromRateLimit(keyRateLimit) }),
    ...(backoff !== undefined && { backoff: backoff === null ? null : fromBackoff(backoff) }),
    ...(retentionDays !== undefined && { retention: retentionDays === null ? null : Math.round(retentionDays * DAY) }),
  } as Partial<QueueSettings>
}

export function toOperation(operation: Operation): wire.Operation {
  const { createdAt, finishedAt } = operation
  const filter = operation.action === 'delete_log_events' ? toLogEventFilter(operation.filter) : toFilter(operation.filter)
  return { ...operation, filter, createdAt: toIso(createdAt), finishedAt: toIsoOrNull(finishedAt) }
}

const toLogEventFilter = ({ type, since, until, fields }: LogEventFilter): wire.LogEventFilter => ({
  ...(type !== undefined && { type }),
  ...(since !== undefined && { since: toIso(since) }),
  ...(until !== undefined && { until: toIso(until) }),
  ...fields,
})

function toFilter({ queues, states, createdFrom, createdTo, ids, label, text }: JobFilter): wire.JobFilter {
  return {
    ...(queues !== undefined && { queue: [...queues] }),
    ...(states !== undefined && { state: [...states] }),
    ...(label !== undefined && { label }),
    ...(createdFrom !== undefined && { createdFrom: toIso(createdFrom) }),
    ...(createdTo !== undefined && { createdTo: toIso(createdTo) }),
    ...(ids !== undefined && { ids: [...ids] }),
    ...(text !== undefined && { text }),
  }
}

export const toWorker = (worker: WorkerInfo, alive: boolean): wire.Worker => ({
  id: worker.id,
  queues: [...worker.queues],
  firstSeenAt: toIso(worker.firstSeenAt),
  lastSeenAt: toIso(worker.lastSeenAt),
  alive,
  draining: worker.draining,
  agent: worker.agent,
})

export const toApiKey = (key: ApiKey): wire.ApiKey => ({
  id: key.id,
  name: key.name,
  role: key.role,
  queues: key.queues === null ? null : [...key.queues],
  createdAt: toIso(key.createdAt),
  createdBy: key.createdBy,
  expiresAt: toIsoOrNull(key.expiresAt),
  lastUsedAt: toIsoOrNull(key.lastUsedAt),
})

export function toSums({ waited, ran, finished, ...counts }: StatsSums): wire.StatsSums {
  const { submitted, started, completed, failed, dead, cancelled, expired } = counts
  return {
    submitted,
    started,
    completed,
    failed,
    dead,
    cancelled,
    expired,
    meanWaitSeconds: started === 0 ? null : toSeconds(waited) / started,
    meanRunSeconds: finished === 0 ? null : toSeconds(ran) / finished,
  }
}

export const toAttention = (item: AttentionItem): wire.AttentionItem => ({ ...item })

/** JSON text of a claimed job; the payload is passed on as it came. */
export function claimedText(job: ClaimedJob, queue: string): string {
  const { id, fence, leaseUntil, attempt, maxAttempts, priority, createdAt, runAt, timeout, concurrencyKey, labels, request } =
    job
  const timestamp = toIso(createdAt)
  return withMembers(
    {
      id,
      queue,
      leaseToken: String(fence),
      leaseUntil: toIso(leaseUntil),
      attempt,
      maxAttempts,
      priority,
      createdAt: timestamp,
      runAt: runAt === createdAt ? timestamp : toIso(runAt),
      timeoutSeconds: timeout === null ? null : toSeconds(timeout),
      concurrencyKey,
      labels,
      request: {
        id,
        timestamp,
        sourceIp: request.sourceIp,
        userAgent: request.userAgent,
        method: request.method,
        url: request.url,
        contentType: request.contentType,
        headers: request.headers,
        customValue: queue,
      },
    },
    { payload: job.payload },
  )
}
