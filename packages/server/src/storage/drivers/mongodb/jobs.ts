import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { type Attempt, isFinished, type Job } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import { ATTEMPTS_KEPT, type JobStore, type Retry, type WaitingFacts } from '../../contract/jobs.ts'
import type { Page, PageRequest } from '../../contract/page.ts'
import type { ItemResult } from '../../contract/storage.ts'
import { pendingStage, Stage, stateOf } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import { isJob, type JobDocument } from './documents.ts'
import { note } from './events.ts'
import { findHolders, findJob, labelFields, recordAttempt, toAttempt, toJob } from './job-documents.ts'
import { listRequestDocuments } from './listing.ts'
import { loadTexts, partIds, readWhole } from './texts.ts'
import type { Transaction } from './transaction.ts'
import { waitingFacts } from './waiting.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof JobStore> = Parameters<JobStore[Verb]>[0]

/** What a job is told by needs none of the texts. */
const WITHOUT_TEXTS = { body: 0, payload: 0, result: 0, meta: 0 }

export class MongoJobs implements JobStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  async find({ ids }: Params<'find'>): Promise<readonly Job[]> {
    const found = await this.#connection.findByIds('requests', ids, WITHOUT_TEXTS)
    const jobs = new Map(found.filter(isJob).map((job) => [job._id, toJob(job)]))
    return ids.flatMap((id) => jobs.get(id) ?? [])
  }

  async list({ filter, page }: Params<'list'>): Promise<Page<Job>> {
    return readWhole(() => listJobs(this.#connection, filter, page))
  }

  async attempts({ id }: Params<'attempts'>): Promise<readonly Attempt[]> {
    const job = await this.#job(id)
    if (job === null) return []
    const earlier = (await this.#connection.find('attempts', { filter: { jobId: id }, sort: { fence: 1 } })).map(toAttempt)
    const isKnown = earlier.some((attempt) => attempt.fence === job.fence)
    // A running or completed attempt stands in the job's own document.
    const isInJob = job.stage === Stage.running || job.stage === Stage.completed
    const all = isInJob && !isKnown && job.startedAt !== undefined ? [...earlier, currentAttempt(job, job.startedAt)] : earlier
    return all.slice(-ATTEMPTS_KEPT)
  }

  async payload({ id }: Params<'payload'>): Promise<string | null> {
    return readWhole(async () => {
      const job = await this.#job(id)
      return job === null ? null : (await loadTexts(this.#connection, [job.payload ?? job.body]))[0]!
    })
  }

  async waiting({ now, id }: Params<'waiting'>): Promise<WaitingFacts | null> {
    const job = await this.#job(id)
    return job === null || stateOf(job.stage) !== 'pending' ? null : waitingFacts(this.#connection, job, now)
  }

  cancel({ now, ids, reason, note }: Params<'cancel'>): Promise<readonly ItemResult[]> {
    return this.#each(ids, now, (transaction, id) => cancelJob(transaction, id, reason, note, now))
  }

  retry({ now, items, note }: Params<'retry'>): Promise<readonly ItemResult[]> {
    return this.#each(
      items.map(({ id }) => id),
      now,
      (transaction, _, index) => retryJob(transaction, items[index]!, note, now),
    )
  }

  edit({ now, id, change, note: message }: Params<'edit'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      const job = await findJob(transaction, id)
      if (job === null) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (state === 'running') return { id, error: new OctoflowError('job_running', { id }) }
      if (isFinished(state)) return { id, error: new OctoflowError('job_finished', { id, state }) }

      const queue = await transaction.queueOf(job)
      const { priority, runAt = job.runAt, labels } = change
      const stage = change.runAt === undefined ? job.stage : pendingStage(runAt, job.concurrencyKey ?? null, now)
      transaction.tables.requests.update(id, {
        runAt,
        stage,
        ...(priority !== undefined && { priority }),
        ...(labels !== undefined && { labels: null, terms: null, ...labelFields(labels) }),
      })
      await transaction.move(queue, { concurrencyKey: job.concurrencyKey, runAt }, job.stage, stage)
      if (job.concurrencyKey !== undefined) await transaction.lanes.touch(queue, job.concurrencyKey)
      note(transaction, id, message, now)
      await transaction.lanes.balance(now)
      return { id, error: null }
    })
  }

  label({ id, label }: Params<'label'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      if ((await findJob(transaction, id)) === null) return { id, error: new OctoflowError('job_not_found', { id }) }
      transaction.tables.requests.update(id, { statusLabel: label })
      return { id, error: null }
    })
  }

  async #job(id: number): Promise<JobDocument | null> {
    const [found] = await this.#connection.findByIds('requests', [id])
    return found !== undefined && isJob(found) ? found : null
  }

  #each(
    ids: readonly number[],
    now: Instant,
    act: (transaction: Transaction, id: number, index: number) => Promise<OctoflowError | null>,
  ): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      await transaction.tables.requests.load(ids)
      const results: ItemResult[] = []
      for (const [index, id] of ids.entries()) results.push({ id, error: await act(transaction, id, index) })
      await transaction.lanes.balance(now)
      return results
    })
  }
}

export async function listJobs(connection: Connection, filter: JobFilter, page: PageRequest): Promise<Page<Job>> {
  const text = filter.text?.toLowerCase()
  const hasText = async ({ payload, body }: JobDocument): Promise<boolean> =>
    (await loadTexts(connection, [payload ?? body]))[0]!.toLowerCase().includes(text!)
  const { items, next } = await listRequestDocuments(connection, filter, page, {
    rare: text !== undefined,
    matches: async (document) => isJob(document) && (text === undefined || hasText(document)),
    projection: text === undefined ? WITHOUT_TEXTS : { result: 0, meta: 0 },
  })
  return { items: (items as JobDocument[]).map(toJob), next }
}

/** @returns what stood in the way. */
export async function cancelJob(
  transaction: Transaction,
  id: number,
  reason: string,
  message: string,
  now: Instant,
): Promise<OctoflowError | null> {
  const { requests } = transaction.tables
  const job = await findJob(transaction, id)
  if (job === null) return new OctoflowError('job_not_found', { id })
  const state = stateOf(job.stage)
  if (isFinished(state)) return new OctoflowError('job_finished', { id, state })
  if (state === 'running') {
    if (job.cancelRequested === true) return null
    requests.update(id, { cancelRequested: true, reason })
  } else {
    const queue = await transaction.queueOf(job)
    requests.update(id, { stage: Stage.cancelled, finishedAt: now, reason, holds: null })
    await transaction.move(queue, job, job.stage, Stage.cancelled)
    transaction.stats(queue, now).cancelled++
  }
  note(transaction, id, message, now)
  return null
}

/** @returns what stood in the way. */
export async function retryJob(
  transaction: Transaction,
  { id, payload, queue: name }: Retry,
  message: string,
  now: Instant,
): Promise<OctoflowError | null> {
  const { tables } = transaction
  const job = await findJob(transaction, id)
  if (job === null) return new OctoflowError('job_not_found', { id })
  const state = stateOf(job.stage)
  if (!isFinished(state)) return new OctoflowError('job_not_finished', { id, state })
  const { uniqueKey, concurrencyKey } = job
  const from = await transaction.queueOf(job)
  const to = name === null ? from : await transaction.queue(name, now)
  const holder = uniqueKey === undefined ? undefined : (await findHolders(transaction, to.name, [uniqueKey])).get(uniqueKey)
  if (holder !== undefined) return new OctoflowError('unique_key_taken', { holder, uniqueKey: uniqueKey!, queue: to.name })

  if (job.stage === Stage.completed && job.startedAt !== undefined)
    await recordAttempt(transaction, job, { outcome: 'completed', error: null }, job.finishedAt!)
  tables.drop('texts', '_id', [job.result?.value, payload === null ? undefined : job.payload].flatMap(partIds))
  const stage = pendingStage(now, concurrencyKey ?? null, now)
  tables.requests.update(id, {
    queue: to.name,
    stage,
    runAt: now,
    attempt: 0,
    ...(uniqueKey !== undefined && { holds: uniqueKey }),
    ...(payload !== null && { payload: transaction.text(payload) }),
    result: null,
    finishedAt: null,
    startedAt: null,
    cancelRequested: null,
    reason: null,
    statusLabel: null,
    progress: null,
    handled: null,
  })
  await transaction.move(from, {}, job.stage, null)
  await transaction.move(to, { concurrencyKey, runAt: now }, null, stage)
  note(transaction, id, message, now)
  return null
}

const currentAttempt = (job: JobDocument, startedAt: Instant): Attempt => ({
  fence: job.fence,
  attempt: job.attempt,
  worker: job.worker ?? null,
  startedAt,
  finishedAt: job.stage === Stage.completed ? job.finishedAt! : null,
  outcome: job.stage === Stage.completed ? 'completed' : null,
  error: null,
})
