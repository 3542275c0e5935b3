import { humanDuration, type Instant } from '../../lib/time.ts'
import type { EventLevel, JobEvent } from '../../model/event.ts'
import { type Attempt, isFinished, type Job, type JobError } from '../../model/job.ts'
import type { CapturedRequest } from '../../model/request.ts'
import type { Page } from '../../storage/contract/page.ts'

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

/** How far a page of a timeline leads: which event was its last, and which of the steps of the job itself. */
export interface TimelinePlace {
  readonly event: number
  readonly step: number
}

export interface TimelineRequest {
  readonly limit: number
  readonly order: 'asc' | 'desc'
  /** The `next` of the page before; `null` for the first page. */
  readonly after: TimelinePlace | null
}

export interface TimelinePage {
  readonly items: readonly TimelineEntry[]
  readonly next: TimelinePlace | null
}

/** Where a timeline begins, from either end. */
export const BEGINNING: Readonly<Record<TimelineRequest['order'], TimelinePlace>> = {
  asc: { event: 0, step: 0 },
  desc: { event: Number.MAX_SAFE_INTEGER, step: Number.MAX_SAFE_INTEGER },
}

/** One of the few entries that tell of the job itself: its request, the attempts, its end. */
export interface Step {
  /** Rises from step to step and is never another's, however the job goes on. */
  readonly position: number
  readonly entry: TimelineEntry
}

/** The steps of a job in the order in which one followed from the other. */
export function stepsOf(request: CapturedRequest, job: Job, attempts: readonly Attempt[]): Step[] {
  const steps = [{ position: 1, entry: received(request) }]
  for (const attempt of attempts) {
    steps.push({ position: 2 * attempt.fence, entry: started(attempt) })
    const end = ended(attempt)
    if (end !== null) steps.push({ position: 2 * attempt.fence + 1, entry: end })
  }
  if (isFinished(job.state) && job.finishedAt !== null)
    steps.push({ position: Number.MAX_SAFE_INTEGER - 1, entry: finished(job, job.finishedAt) })
  return steps
}

/**
 * A page of all that happened to a job, whatever its kind, in order of time; what happened at the same time, in order of cause.
 * Steps and events are merged as they come, so a page costs no more than its own events. Events come in the order in which
 * they were recorded: what a worker tells late stands where it belongs in time on its own page, and not on an earlier one.
 * @param events those that follow `request.after`, as many as the page may need.
 */
export function timelinePage(
  steps: readonly Step[],
  events: Page<JobEvent>,
  { limit, order, after }: TimelineRequest,
): TimelinePage {
  const direction = order === 'asc' ? 1 : -1
  let { event, step } = after ?? BEGINNING[order]
  const stepsLeft = steps.filter(({ position }) => (position - step) * direction > 0)
  if (order === 'desc') stepsLeft.reverse()
  const eventsLeft = [...events.items]
  const items: TimelineEntry[] = []
  while (items.length < limit) {
    const [nextStep] = stepsLeft
    const [nextEvent] = eventsLeft
    // Events beyond those at hand may come before the next step.
    if (nextEvent === undefined && (nextStep === undefined || events.next !== null)) break
    if (nextStep === undefined || (nextEvent !== undefined && compare(nextEvent, nextStep.entry) * direction < 0)) {
      event = nextEvent!.id
      items.push(ofEvent(eventsLeft.shift()!))
    } else {
      step = nextStep.position
      items.push(stepsLeft.shift()!.entry)
    }
  }
  items.sort((a, b) => (a.at - b.at) * direction)
  const done = stepsLeft.length === 0 && eventsLeft.length === 0 && events.next === null
  return { items, next: done ? null : { event, step } }
}

type Timed = Pick<TimelineEntry, 'at' | 'kind'>

const compare = (a: Timed, b: Timed): number => a.at - b.at || ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)

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

function started({ attempt, worker, startedAt }: Attempt): TimelineEntry {
  const message = `Attempt ${attempt} started${worker === null ? '' : ` on ${worker}`}`
  return { at: startedAt, kind: 'attempt_started', level: 'info', message, attempt, ...(worker !== null && { worker }) }
}

/** `null` for an attempt that runs. */
function ended({ attempt, worker, startedAt, finishedAt, outcome, error }: Attempt): TimelineEntry | null {
  if (finishedAt === null || outcome === null) return null
  return {
    at: finishedAt,
    kind: 'attempt_ended',
    level: error === null ? 'info' : 'error',
    message: `Attempt ${attempt} ${WORDS[outcome]} after ${humanDuration(finishedAt - startedAt)}${reason(error)}`,
    attempt,
    ...(worker !== null && { worker }),
    ...(error !== null && { data: JSON.stringify(error) }),
  }
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
