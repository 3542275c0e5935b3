import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Instant } from '../../lib/time.ts'
import { isFinished, type Labels } from '../../model/job.ts'
import type { JobChange, Retry } from '../contract/jobs.ts'
import { noteOf, type Said } from './events.ts'
import type { JobRecord } from './job-record.ts'
import type { JobTransaction } from './job-transaction.ts'
import { formatOptions, labelTerms, parseOptions } from './options.ts'
import { pendingStage, Stage, stateOf } from './stages.ts'

/** What a driver writes beside the jobs' own rows. Nothing is waited for but `holders`. */
export interface SteeringStatements<In> {
  /** Which pending or running jobs hold unique keys, by queue and key as `7:key`. */
  holders(transaction: In, keys: readonly (readonly [queueId: number, key: string])[]): Promise<Map<string, number>>
  deleteResults(transaction: In, jobIds: readonly number[]): void
  replacePayloads(transaction: In, payloads: readonly (readonly [jobId: number, payload: string])[]): void
  insertLabels(transaction: In, labels: readonly (readonly [jobId: number, labels: Labels])[]): void
  deleteLabels(transaction: In, terms: readonly (readonly [jobId: number, term: string])[]): void
  sendEvents(transaction: In, events: readonly Said[]): void
}

/** Cancels a job that is locked. @returns what stood in the way. */
export function cancelJob<In extends JobTransaction>(
  transaction: In,
  { sendEvents }: SteeringStatements<In>,
  id: number,
  reason: string,
  note: string,
  now: Instant,
): OctoflowError | null {
  const job = transaction.jobs.find(id)
  if (job === undefined) return new OctoflowError('job_not_found', { id })
  const state = stateOf(job.stage)
  if (isFinished(state)) return new OctoflowError('job_finished', { id, state })
  if (state === 'running') {
    if (job.cancelRequested) return null
    transaction.jobs.change(job, { cancelRequested: true, reason })
  } else {
    transaction.jobs.change(job, { stage: Stage.cancelled, finishedAt: now, reason })
    transaction.stats(job.queueId, now).cancelled++
  }
  sendEvents(transaction, noteOf([id], note, now))
  return null
}

/** Changes a pending job that is locked. @returns what stood in the way. */
export function editJob<In extends JobTransaction>(
  transaction: In,
  statements: SteeringStatements<In>,
  id: number,
  change: JobChange,
  note: string,
  now: Instant,
): OctoflowError | null {
  const job = transaction.jobs.find(id)
  if (job === undefined) return new OctoflowError('job_not_found', { id })
  const state = stateOf(job.stage)
  if (state === 'running') return new OctoflowError('job_running', { id })
  if (isFinished(state)) return new OctoflowError('job_finished', { id, state })

  const { priority = job.priority, runAt = job.runAt, labels } = change
  const stage = change.runAt === undefined ? job.stage : pendingStage(runAt, job.concurrencyKey, now)
  transaction.jobs.change(job, { priority, runAt, stage })
  if (job.concurrencyKey !== null) transaction.lanes.touch(job.queueId, job.concurrencyKey)
  if (labels !== undefined) replaceLabels(transaction, statements, job, labels)
  statements.sendEvents(transaction, noteOf([id], note, now))
  return null
}

function replaceLabels<In extends JobTransaction>(
  transaction: In,
  { deleteLabels, insertLabels }: SteeringStatements<In>,
  job: JobRecord,
  labels: Labels,
): void {
  const options = parseOptions(job.options)
  deleteLabels(
    transaction,
    labelTerms(options.labels ?? {}).map((term) => [job.id, term] as const),
  )
  insertLabels(transaction, [[job.id, labels]])
  transaction.jobs.change(job, { options: formatOptions({ backoff: options.backoff ?? null, timeout: null, labels }) })
}

/** Runs finished jobs again. @returns what stood in the way of each. */
export async function retryJobs<In extends JobTransaction>(
  transaction: In,
  statements: SteeringStatements<In>,
  items: readonly Retry[],
  note: string,
  now: Instant,
): Promise<readonly (OctoflowError | null)[]> {
  await transaction.jobs.lock(items.map(({ id }) => id))
  const targets = items.flatMap(({ id, queue }) => (queue !== null && isOver(transaction, id) ? [queue] : []))
  const queues = targets.length === 0 ? new Map<string, number>() : await transaction.makeQueues(targets, now)
  await transaction.settings([...queues.values()])
  const holders = await holdersOf(transaction, statements, items, queues)
  const names = await transaction.names(items.flatMap(({ id }) => transaction.jobs.find(id)?.queueId ?? []))
  const rerun: number[] = []
  const payloads: [number, string][] = []
  const errors = items.map(({ id, payload, queue }) => {
    const job = transaction.jobs.find(id)
    if (job === undefined) return new OctoflowError('job_not_found', { id })
    const state = stateOf(job.stage)
    if (!isFinished(state)) return new OctoflowError('job_not_finished', { id, state })
    const queueId = queue === null ? job.queueId : queues.get(queue)!
    const { uniqueKey } = job
    const holder = uniqueKey === null ? undefined : holders.get(`${queueId}:${uniqueKey}`)
    if (holder !== undefined)
      return new OctoflowError('unique_key_taken', { holder, uniqueKey, queue: queue ?? names.get(queueId)! })
    if (uniqueKey !== null) holders.set(`${queueId}:${uniqueKey}`, id)
    rerunJob(transaction, job, queueId, payload, now)
    if (payload !== null) payloads.push([id, payload])
    rerun.push(id)
    return null
  })
  if (rerun.length > 0) statements.deleteResults(transaction, rerun)
  if (payloads.length > 0) statements.replacePayloads(transaction, payloads)
  statements.sendEvents(transaction, noteOf(rerun, note, now))
  return errors
}

function isOver({ jobs }: JobTransaction, id: number): boolean {
  const job = jobs.find(id)
  return job !== undefined && isFinished(stateOf(job.stage))
}

/** Who holds the unique keys of the jobs, in the queues in which they are to run. */
async function holdersOf<In extends JobTransaction>(
  transaction: In,
  { holders }: SteeringStatements<In>,
  items: readonly Retry[],
  queues: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const keys = items.flatMap(({ id, queue }) => {
    const job = transaction.jobs.find(id)
    if (job === undefined || job.uniqueKey === null) return []
    return [[queue === null ? job.queueId : (queues.get(queue) ?? job.queueId), job.uniqueKey] as const]
  })
  return keys.length === 0 ? new Map() : holders(transaction, keys)
}

function rerunJob({ jobs }: JobTransaction, job: JobRecord, queueId: number, payload: string | null, now: Instant): void {
  if (job.stage === Stage.completed && job.startedAt !== null) jobs.recordAttempt(job, 'completed', null, job.finishedAt!)
  jobs.change(job, {
    queueId,
    stage: pendingStage(now, job.concurrencyKey, now),
    runAt: now,
    attempt: 0,
    finishedAt: null,
    startedAt: null,
    cancelRequested: false,
    reason: null,
    statusLabel: null,
    progress: null,
    handled: false,
    ...(payload !== null && { revised: true, size: payload.length }),
  })
}
