import type { Instant } from '../../../lib/time.ts'
import type { Attempt } from '../../../model/job.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import type { JobOfRequest, RequestRecord } from '../../contract/transfer.ts'
import { pendingStage, Stage, stagesOf } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import { type AttemptDocument, isJob, type JobDocument, laneId, type RequestDocument } from './documents.ts'
import { labelFields, metaFields, metaOf, ofAttempt, toAttempt, toJob } from './job-documents.ts'
import { loadTexts, type Text } from './texts.ts'
import type { Transaction } from './transaction.ts'
import type { RecordCollection } from './transfer-collections.ts'

/** Requests with their jobs, each with all that hangs on it but its events. */
export const requests: RecordCollection<'request'> = {
  count: (connection) => connection.count('requests'),

  async read({ connection }, after, limit) {
    const beyond = after === null ? {} : { _id: { $gt: Number(after) } }
    // What is left of those that were deleted is read along: no index leaves it out.
    const found = await connection.query('requests', { filter: beyond, sort: { _id: 1 }, limit })
    const read = await fitting(connection, found)
    const isCut = found.length === limit || read.documents.length < found.length
    return { records: await toRecords(connection, read), next: isCut ? String(read.documents.at(-1)!._id) : null }
  },

  async insert(transaction, records, now) {
    await transaction.tables.lanes.load(
      records.flatMap(({ job }) => ((job?.concurrencyKey ?? null) === null ? [] : [laneId(job!.queue, job!.concurrencyKey!)])),
    )
    for (const record of records) await insert(transaction, record, now)
  },
}

interface Fitting {
  readonly documents: readonly RequestDocument[]
  /** Those that ended, by job. */
  readonly attempts: ReadonlyMap<number, readonly AttemptDocument[]>
}

/** As many of the documents as make a page, the first one at least, with their attempts. */
async function fitting(connection: Connection, found: readonly RequestDocument[]): Promise<Fitting> {
  const attempts = new Map<number, readonly AttemptDocument[]>()
  const documents: RequestDocument[] = []
  let size = 0
  for (const document of found) {
    if (size >= CHARACTERS_AT_ONCE) break
    documents.push(document)
    size += sum([document.body, document.payload, document.result?.value].map((text) => text?.length ?? 0))
    if ((document.fence ?? 0) === 0) continue
    const own = await connection.find('attempts', { filter: { jobId: document._id }, sort: { fence: 1 } })
    attempts.set(document._id, own)
    size += sum(own.map(({ error }) => (error?.message.length ?? 0) + (error?.detail?.length ?? 0)))
  }
  return { documents, attempts }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

async function toRecords(connection: Connection, { documents, attempts }: Fitting): Promise<RequestRecord[]> {
  const existing = documents.filter(({ deletedAt }) => deletedAt === undefined)
  const texts = await loadTexts(
    connection,
    existing.flatMap(({ body, payload = '', result }) => [body, payload, result?.value ?? '']),
  )
  return existing.map((document, index) => {
    const [body, payload, result] = texts.slice(3 * index, 3 * index + 3) as [string, string, string]
    const { _id: id, receivedAt, handled = false } = document
    const own = (attempts.get(id) ?? []).map(toAttempt)
    return {
      id,
      receivedAt,
      ...metaOf(document),
      body,
      handled,
      job: isJob(document) ? toJobOfRequest(document, payload, result, own) : null,
    }
  })
}

function toJobOfRequest(document: JobDocument, payload: string, value: string, attempts: readonly Attempt[]): JobOfRequest {
  const { id: _id, createdAt: _createdAt, ...job } = toJob(document)
  return {
    ...job,
    deadline: document.deadline ?? null,
    payload: document.payload === undefined ? null : payload,
    result: document.result === undefined ? null : { at: document.result.at, value },
    attempts,
  }
}

async function insert(transaction: Transaction, record: RequestRecord, now: Instant): Promise<void> {
  const { tables } = transaction
  const { id, receivedAt, body, handled, job } = record
  const request: RequestDocument = {
    _id: id,
    receivedAt,
    ...metaFields(record),
    body: transaction.text(body),
    ...(handled && { handled }),
  }
  if (job === null) {
    tables.requests.put(request)
    return
  }
  const { queue: name, concurrencyKey, runAt } = job
  const stage = job.state === 'pending' ? pendingStage(runAt, concurrencyKey, now) : stagesOf(job.state)[0]!
  tables.requests.put({ ...request, ...jobFields(job, stage, (text) => transaction.text(text)) })
  for (const attempt of job.attempts) tables.attempts.put(ofAttempt(id, attempt))
  const queue = (await transaction.findQueue(name))!
  await transaction.move(queue, { concurrencyKey: concurrencyKey ?? undefined, runAt }, null, stage)
  // Keyed jobs that wait are held; the first claims of their queue make ready what may start.
  if (stage === Stage.held) transaction.lanes.wake(await transaction.lanes.get(queue, concurrencyKey!))
}

function jobFields(job: JobOfRequest, stage: Stage, toText: (text: string) => Text): Partial<RequestDocument> {
  const { queue, priority, runAt, attempt, fence, uniqueKey, cancelRequested, result, payload, labels } = job
  const isHolder = job.state === 'pending' || job.state === 'running'
  return {
    queue,
    stage,
    priority,
    runAt,
    attempt,
    fence,
    ...labelFields(labels),
    ...(uniqueKey !== null && { uniqueKey, ...(isHolder && { holds: uniqueKey }) }),
    ...(cancelRequested && { cancelRequested }),
    ...(payload !== null && { payload: toText(payload) }),
    ...(result !== null && { result: { at: result.at, value: toText(result.value) } }),
    ...withoutNulls({
      startedAt: job.startedAt,
      finishedAt: job.finishedAt,
      worker: job.worker,
      leaseUntil: job.leaseUntil,
      deadline: job.deadline,
      concurrencyKey: job.concurrencyKey,
      maxAttempts: job.maxAttempts,
      backoff: job.backoff,
      timeout: job.timeout,
      reason: job.reason,
      statusLabel: job.statusLabel,
      progress: job.progress,
    }),
  }
}

const withoutNulls = <Fields extends object>(fields: Fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as {
    readonly [Name in keyof Fields]?: NonNullable<Fields[Name]>
  }
