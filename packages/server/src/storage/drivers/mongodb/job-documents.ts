import type { Instant } from '../../../lib/time.ts'
import type { Attempt, Job, Labels } from '../../../model/job.ts'
import type { Settlement } from '../../../model/settle.ts'
import { ATTEMPTS_KEPT } from '../../contract/jobs.ts'
import type { NewRequest } from '../../contract/requests.ts'
import type { Meta } from '../../sql/meta.ts'
import { labelTerms } from '../../sql/options.ts'
import { stateOf } from '../../sql/stages.ts'
import { type AttemptDocument, attemptId, isJob, type JobDocument, type RequestDocument } from './documents.ts'
import { partIds } from './texts.ts'
import type { Transaction } from './transaction.ts'

const PLAIN: Meta = Object.freeze({
  source: 'api',
  sourceIp: null,
  userAgent: null,
  method: 'POST',
  url: '/api/v1/jobs',
  headers: Object.freeze({}),
  contentType: 'application/json',
})

export function metaOf({ meta }: RequestDocument): Meta {
  if (meta === undefined) return PLAIN
  const { source, sourceIp = null, userAgent = null, method, url, headers, contentType = null } = meta
  return { source, sourceIp, userAgent, method, url, headers: headers === undefined ? {} : JSON.parse(headers), contentType }
}

/** The fields of a document that say how its request came in. */
export function metaFields(request: Meta | NewRequest): Pick<RequestDocument, 'meta'> {
  const { source, sourceIp, userAgent, method, url, headers, contentType } = request
  const hasHeaders = headers !== null && Object.keys(headers).length > 0
  const isPlain = !hasHeaders && FIELDS.every((field) => request[field] === PLAIN[field])
  if (isPlain) return {}
  return {
    meta: {
      source,
      method,
      url,
      ...(sourceIp !== null && { sourceIp }),
      ...(userAgent !== null && { userAgent }),
      ...(contentType !== null && { contentType }),
      ...(hasHeaders && { headers: JSON.stringify(headers) }),
    },
  }
}

const FIELDS = ['source', 'sourceIp', 'userAgent', 'method', 'url', 'contentType'] as const

export const labelsOf = ({ labels }: RequestDocument): Labels => (labels === undefined ? {} : JSON.parse(labels))

/** The fields of a document that hold labels. */
export function labelFields(labels: Labels | null): Pick<RequestDocument, 'labels' | 'terms'> {
  if (labels === null || Object.keys(labels).length === 0) return {}
  return { labels: JSON.stringify(labels), terms: labelTerms(labels) }
}

export const toJob = (job: JobDocument): Job => ({
  id: job._id,
  queue: job.queue,
  state: stateOf(job.stage),
  priority: job.priority,
  createdAt: job.receivedAt,
  runAt: job.runAt,
  startedAt: job.startedAt ?? null,
  finishedAt: job.finishedAt ?? null,
  attempt: job.attempt,
  maxAttempts: job.maxAttempts ?? null,
  fence: job.fence,
  leaseUntil: job.leaseUntil ?? null,
  worker: job.worker ?? null,
  uniqueKey: job.uniqueKey ?? null,
  concurrencyKey: job.concurrencyKey ?? null,
  backoff: job.backoff ?? null,
  timeout: job.timeout ?? null,
  labels: labelsOf(job),
  statusLabel: job.statusLabel ?? null,
  progress: job.progress ?? null,
  cancelRequested: job.cancelRequested ?? false,
  reason: job.reason ?? null,
})

export async function findJob(transaction: Transaction, id: number): Promise<JobDocument | null> {
  const request = await transaction.tables.requests.get(id)
  return request !== null && isJob(request) ? request : null
}

/** The pending or running jobs of a queue that hold unique keys, by key. */
export async function findHolders(
  transaction: Transaction,
  queue: string,
  keys: readonly string[],
): Promise<Map<string, number>> {
  if (keys.length === 0) return new Map()
  const wanted = new Set(keys)
  const holders = await transaction.tables.requests.find({
    filter: { queue, holds: keys.length === 1 ? keys[0] : { $in: [...wanted] } },
    matches: ({ queue: its, holds }) => its === queue && holds !== undefined && wanted.has(holds),
    sort: { _id: 1 },
    compare: (a, b) => a._id - b._id,
    limit: wanted.size,
  })
  return new Map(holders.map(({ _id, holds }) => [holds!, _id]))
}

/** An attempt whose lease ran out stays that, though a client without a token completed the job later. */
export async function recordAttempt(
  { tables }: Transaction,
  { _id: jobId, fence, attempt, worker, startedAt }: JobDocument,
  { outcome, error }: Pick<Settlement, 'outcome' | 'error'>,
  finishedAt: Instant,
): Promise<void> {
  const _id = attemptId(jobId, fence)
  if ((await tables.attempts.get(_id)) !== null) return
  // Each claim has one fence more than the one before.
  if (fence > ATTEMPTS_KEPT) tables.drop('attempts', '_id', [attemptId(jobId, fence - ATTEMPTS_KEPT)])
  const ended = { fence, attempt, worker: worker ?? null, startedAt: startedAt ?? finishedAt, finishedAt, outcome, error }
  tables.attempts.insert(ofAttempt(jobId, ended))
}

/** @param attempt that has ended. */
export function ofAttempt(jobId: number, { worker, finishedAt, outcome, error, ...attempt }: Attempt): AttemptDocument {
  return {
    _id: attemptId(jobId, attempt.fence),
    jobId,
    ...attempt,
    ...(worker !== null && { worker }),
    finishedAt: finishedAt!,
    outcome: outcome!,
    ...(error !== null && { error }),
  }
}

export const toAttempt = (document: AttemptDocument): Attempt => ({
  fence: document.fence,
  attempt: document.attempt,
  worker: document.worker ?? null,
  startedAt: document.startedAt,
  finishedAt: document.finishedAt,
  outcome: document.outcome,
  error: document.error ?? null,
})

/** Deletes a request with all that hangs on it. @returns whether there was one. */
export async function deleteRequest(transaction: Transaction, id: number, now: Instant): Promise<boolean> {
  const { tables } = transaction
  const request = await tables.requests.get(id)
  if (request === null) return false
  tables.requests.delete(id, now)
  tables.drop('texts', '_id', [request.body, request.payload, request.result?.value].flatMap(partIds))
  if (!isJob(request)) return true
  await transaction.move(await transaction.queueOf(request), request, request.stage, null)
  tables.drop('attempts', 'jobId', [id])
  tables.drop('events', 'jobId', [id])
  return true
}
