import { humanDuration, type Instant } from '../../lib/time.ts'
import type { EventLevel, JobEvent } from '../../model/event.ts'
import { type Attempt, isFinished, type Job, type JobError } from '../../model/job.ts'
import type { CapturedRequest } from '../../model/request.ts'

/** One thing that happened to a job. */
export interface TimelineEntry {
  readonly at: Instant
  readonly kind: 'request' | 'attempt_started' | 'attempt_ended' | 'event' | 'log' | 'system' | 'finished'
  readonly message: string
  readonly level: EventLevel
  readonly attempt?: number
  readonly worker?: string
  /** JSON text. */
  readonly data?: string
}

/** All that happened to a job, whatever its kind, in order of time; what happened at the same time, in order of cause. */
export function timeline(
  request: CapturedRequest,
  job: Job,
  attempts: readonly Attempt[],
  events: readonly JobEvent[],
): TimelineEntry[] {
  const entries = [
    received(request),
    ...attempts.flatMap(ofAttempt),
    ...events.map(ofEvent),
    ...(isFinished(job.state) && job.finishedAt !== null ? [finished(job, job.finishedAt)] : []),
  ]
  return entries.sort((a, b) => a.at - b.at || ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))
}

const ORDER: readonly TimelineEntry['kind'][] = [
  'request',
  'system',
  'attempt_started',
  'event',
  'log',
  'attempt_ended',
  'finished',
]

function received({ receivedAt, source, method, url, sourceIp }: CapturedRequest): TimelineEntry {
  const from = sourceIp === null ? '' : ` from ${sourceIp}`
  return { at: receivedAt, kind: 'request', level: 'info', message: `${method} ${url}${from} (${source})` }
}

function ofAttempt({ attempt, worker, startedAt, finishedAt, outcome, error }: Attempt): TimelineEntry[] {
  const by = worker === null ? {} : { worker }
  const started: TimelineEntry = {
    at: startedAt,
    kind: 'attempt_started',
    level: 'info',
    message: `Attempt ${attempt} started${worker === null ? '' : ` on ${worker}`}`,
    attempt,
    ...by,
  }
  if (finishedAt === null || outcome === null) return [started]
  const ended: TimelineEntry = {
    at: finishedAt,
    kind: 'attempt_ended',
    level: error === null ? 'info' : 'error',
    message: `Attempt ${attempt} ${WORDS[outcome]} after ${humanDuration(finishedAt - startedAt)}${reason(error)}`,
    attempt,
    ...by,
    ...(error !== null && { data: JSON.stringify(error) }),
  }
  return [started, ended]
}

const WORDS = {
  completed: 'completed',
  failed: 'failed',
  snoozed: 'asked for a later time',
  released: 'was given back',
  cancelled: 'was cancelled',
  discarded: 'discarded the job',
  lease_expired: 'was lost',
} as const

const reason = (error: JobError | null): string => (error === null ? '' : `: ${error.message}`)

const ofEvent = ({ at, kind, level, message, data }: JobEvent): TimelineEntry => ({
  at,
  kind,
  level,
  message,
  ...(data !== null && { data }),
})

function finished({ state, reason }: Job, at: Instant): TimelineEntry {
  const level = state === 'dead' ? 'error' : 'info'
  return { at, kind: 'finished', level, message: `Job ${state}${reason === null ? '' : ` (${reason})`}` }
}
