import type * as wire from '@octoflow/protocol'
import type { FastifyRequest } from 'fastify'
import { NO_FENCE } from '../../../core/engine/work.ts'
import type { Incoming } from '../../../core/jobs/intake.ts'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { memberText } from '../../../lib/raw-json.ts'
import { fromIso, type Instant, MAX_INSTANT, seconds, toIso } from '../../../lib/time.ts'
import { JOB_STATES, type JobError, type JobState, type Progress } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import type { NewEvent } from '../../../storage/contract/events.ts'
import type { NewJob } from '../../../storage/contract/requests.ts'
import { misfit } from '../../validation.ts'
import { fromBackoff } from './wire.ts'

/** The native API's shapes in the model's. */

type NotFound = 'job_not_found' | 'request_not_found' | 'dead_letter_not_found' | 'operation_not_found'

const ID = /^[1-9]\d{0,15}$/

/** A path id; one that cannot be an id names nothing. */
export function readId(text: string, code: NotFound): number {
  const id = ID.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(id)) throw new OctoflowError(code, { id: text })
  return id
}

/** An instant to compare with: one beyond what can be kept is as good as the last that can. @throws `invalid_body` or `invalid_query` */
export function readInstant(text: string, name: string, part: 'body' | 'query'): Instant {
  const at = fromIso(text)
  if (at === null || at > MAX_INSTANT || at < 0)
    throw misfit(part, name, 'must be an ISO 8601 date-time such as 2026-11-21T10:15:30Z')
  return at
}

/**
 * An instant to be kept as it is: one beyond what can be kept is refused, not replaced by the last that can.
 * @throws `invalid_body`
 */
export function readKeptInstant(text: string, name: string): Instant {
  const at = readInstant(text, name, 'body')
  if (at === MAX_INSTANT) throw misfit('body', name, `must be before ${toIso(MAX_INSTANT)}, beyond which no time can be kept`)
  return at
}

/** Names as a query parameter gives them: once, with commas between them; repeated, each as it stands. */
export function readList(given: string | readonly string[] | undefined): string[] | undefined {
  if (given === undefined) return undefined
  const names = typeof given === 'string' ? given.split(',').map((name) => name.trim()) : given
  return names.filter((name) => name !== '')
}

interface FilterQuery {
  readonly queue?: string | readonly string[]
  readonly state?: string | readonly string[]
  readonly label?: string
  readonly createdFrom?: string
  readonly createdTo?: string
  readonly requestId?: number
  readonly text?: string
}

/** @throws `invalid_query` */
export function readFilterQuery(query: FilterQuery): JobFilter {
  const { queue, state, label, createdFrom, createdTo, requestId, text } = query
  return {
    queues: readList(queue),
    states: readList(state)?.map(readState),
    label,
    createdFrom: createdFrom === undefined ? undefined : readInstant(createdFrom, 'createdFrom', 'query'),
    createdTo: createdTo === undefined ? undefined : readInstant(createdTo, 'createdTo', 'query'),
    ids: requestId === undefined ? undefined : [requestId],
    text,
  }
}

function readState(text: string): JobState {
  const state = JOB_STATES.find((known) => known === text)
  if (state === undefined) throw misfit('query', 'state', `must be one of ${JOB_STATES.join(', ')}`)
  return state
}

/** @throws `invalid_body` */
export function readFilter({ queue, state, createdFrom, createdTo, ...filter }: wire.JobFilter): JobFilter {
  return {
    ...filter,
    ...(queue !== undefined && { queues: [queue].flat() }),
    ...(state !== undefined && { states: [state].flat() }),
    ...(createdFrom !== undefined && { createdFrom: readInstant(createdFrom, 'filter.createdFrom', 'body') }),
    ...(createdTo !== undefined && { createdTo: readInstant(createdTo, 'filter.createdTo', 'body') }),
  }
}

/**
 * A job to submit, as the request that it hangs on.
 * @param payload JSON text.
 * @throws `invalid_body`
 */
export function readSubmit(job: wire.SubmitJob, payload: string | null, request: FastifyRequest, now: Instant): Incoming {
  const { headers } = request
  return {
    source: 'api',
    sourceIp: request.ip,
    userAgent: headers['user-agent'] ?? null,
    method: 'POST',
    url: '/api/v1/jobs',
    headers: null,
    contentType: 'application/json',
    body: payload ?? '{}',
    queue: job.queue,
    job: readJobSettings(job, now),
  }
}

function readJobSettings(job: wire.SubmitJob, now: Instant): Partial<NewJob> {
  const { runAt, delaySeconds, backoff, timeoutSeconds, maxAttempts, uniqueKey, concurrencyKey, labels, priority } = job
  if (runAt !== undefined && delaySeconds !== undefined) throw misfit('body', 'delaySeconds', 'cannot stand beside runAt')
  return {
    ...(priority !== undefined && { priority }),
    ...(runAt !== undefined && { runAt: readKeptInstant(runAt, 'runAt') }),
    ...(delaySeconds !== undefined && { runAt: now + seconds(delaySeconds) }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(backoff !== undefined && { backoff: fromBackoff(backoff) }),
    ...(uniqueKey !== undefined && { uniqueKey }),
    ...(concurrencyKey !== undefined && { concurrencyKey }),
    ...(timeoutSeconds !== undefined && { timeout: seconds(timeoutSeconds) }),
    ...(labels !== undefined && { labels }),
  }
}

/** @param text the event's JSON text, of which its data is taken as it came. */
export function readEvent({ message, kind = 'event', level = 'info', at }: wire.EventInput, text: string): NewEvent {
  return {
    kind,
    level,
    message,
    data: memberText(text, 'data'),
    at: at === undefined ? null : readKeptInstant(at, 'at'),
  }
}

/** @returns `null` where nothing of it fits. */
export function readProgress(given: unknown): Progress | null {
  if (typeof given !== 'object' || given === null) return null
  const { fraction, message } = given as Readonly<Record<string, unknown>>
  const isFraction = typeof fraction === 'number'
  const isMessage = typeof message === 'string'
  if (!isFraction && fraction !== null && !isMessage && message !== null) return null
  return {
    fraction: isFraction ? Math.min(1, Math.max(0, fraction)) : null,
    message: isMessage ? message.slice(0, LONGEST_PROGRESS).toWellFormed() : null,
  }
}

const LONGEST_PROGRESS = 1_024

/** A token that is none of ours is like one of a lease long lost. */
export const readToken = (token: string): number => (/^\d{1,15}$/.test(token) ? Number(token) : NO_FENCE)

export function readError(error: wire.JobReport['error'], fallback: string): JobError {
  if (error === undefined) return { message: fallback, code: null, detail: null }
  if (typeof error === 'string') return { message: error, code: null, detail: null }
  return { message: error.message ?? fallback, code: error.code ?? null, detail: error.detail ?? null }
}
