import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import type { LogEventFilter } from '../../../model/log-event.ts'
import type { JobAction, Operation } from '../../../model/operation.ts'
import type { OperationStore } from '../../contract/operations.ts'
import type { Page } from '../../contract/page.ts'
import type { MovedJob } from '../../contract/storage.ts'
import type { OperationRecord } from '../../contract/transfer.ts'
import { outlineLogEvents } from '../../sql/log-event-listing.ts'
import { stateOf } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import type { OperationDocument } from './documents.ts'
import { deleteRequest, findJob } from './job-documents.ts'
import { cancelJob, listJobs, retryJob } from './jobs.ts'
import { MongoLogEventReader } from './log-event-ranges.ts'
import { pageOf, pageQuery } from './paging.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof OperationStore> = Parameters<OperationStore[Verb]>[0]

export class MongoOperations implements OperationStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  create({ now, action, filter, by }: Params<'create'>): Promise<Operation> {
    return this.#writer.write(async ({ tables, sequences }) => {
      const operation: OperationDocument = {
        _id: sequences.operation++,
        action,
        filter: JSON.stringify(filter),
        state: 'running',
        position: 0,
        upto: (action === 'delete_log_events' ? sequences.logEvent : sequences.request) - 1,
        examined: 0,
        changed: 0,
        skipped: 0,
        createdAt: now,
        createdBy: by,
      }
      tables.operations.insert(operation)
      return toOperation(operation)
    })
  }

  async find({ ids }: Params<'find'>): Promise<readonly Operation[]> {
    const found = await this.#connection.findByIds('operations', ids)
    return ids.flatMap((id) => found.filter(({ _id }) => _id === id).map(toOperation))
  }

  async list({ page }: Params<'list'>): Promise<Page<Operation>> {
    const { items, next } = pageOf(await this.#connection.find('operations', pageQuery(page, {})), page)
    return { items: items.map(toOperation), next }
  }

  async unfinished(): Promise<readonly Operation[]> {
    return (await this.#connection.find('operations', { filter: { state: 'running' }, sort: { _id: 1 } })).map(toOperation)
  }

  step({ now, id, limit, note }: Params<'step'>): ReturnType<OperationStore['step']> {
    return this.#writer.write(async (transaction) => {
      const { operations } = transaction.tables
      const operation = await operations.get(id)
      if (operation === null) throw new OctoflowError('operation_not_found', { id })
      const moved = operation.state === 'running' ? await advance(transaction, operation, limit, note, now) : []
      await transaction.lanes.balance(now)
      return { operation: toOperation((await operations.get(id))!), moved }
    })
  }

  abort({ now, id }: Params<'abort'>): Promise<Operation> {
    return this.#writer.write(async ({ tables: { operations } }) => {
      const operation = await operations.get(id)
      if (operation === null) throw new OctoflowError('operation_not_found', { id })
      if (operation.state !== 'running') throw new OctoflowError('operation_finished', { id, state: operation.state })
      return toOperation(operations.update(id, { state: 'aborted', finishedAt: now }))
    })
  }
}

async function advance(
  transaction: Transaction,
  operation: OperationDocument,
  limit: number,
  note: string,
  now: Instant,
): Promise<MovedJob[]> {
  const { action } = operation
  if (action !== 'delete_log_events') return advanceJobs(transaction, { ...operation, action }, limit, note, now)
  await advanceLogEvents(transaction, operation, limit, now)
  return []
}

async function advanceJobs(
  transaction: Transaction,
  operation: OperationDocument & { readonly action: JobAction },
  limit: number,
  note: string,
  now: Instant,
): Promise<MovedJob[]> {
  const { tables, connection } = transaction
  const filter = JSON.parse(operation.filter) as JobFilter
  // Jobs change their place in the lists as they are acted on, but never their id: the way through is by id.
  const page = await listJobs(connection, filter, { order: 'asc', after: operation.position, limit })
  const jobs = page.items.filter(({ id }) => id <= operation.upto)
  await tables.requests.load(jobs.map(({ id }) => id))
  const moved: MovedJob[] = []
  let changed = 0
  for (const { id, queue, state: before } of jobs) {
    if ((await act(transaction, operation.action, id, note, now)) !== null) continue
    changed++
    const job = await findJob(transaction, id)
    const state = job === null ? before : stateOf(job.stage)
    if (state !== before) moved.push({ id, queue, state })
  }
  const last = jobs.at(-1)?.id ?? operation.position
  const isAtEnd = page.next === null || page.next >= operation.upto
  tables.operations.update(operation._id, {
    position: page.next === null ? last : Math.max(last, page.next),
    examined: operation.examined + jobs.length,
    changed: operation.changed + changed,
    skipped: operation.skipped + jobs.length - changed,
    ...(isAtEnd && { state: 'completed', finishedAt: now }),
  })
  return moved
}

/** Goes through the events in order of time, of which none changes its place. */
async function advanceLogEvents(
  { connection, logEvents, tables }: Transaction,
  operation: OperationDocument,
  limit: number,
  now: Instant,
): Promise<void> {
  const { _id, position, sequence = 0, examined, changed, upto } = operation
  const filter = JSON.parse(operation.filter) as LogEventFilter
  const after = examined === 0 && sequence === 0 ? 0 : { at: position, sequence }
  const page = await outlineLogEvents(new MongoLogEventReader(connection), { filter, order: 'asc', after, limit })
  const concerned = page.outlines.map((outline) => outline.sequence).filter((found) => found <= upto)
  const deleted = await logEvents.remove(concerned, now)
  tables.operations.update(_id, {
    ...(page.next !== null && { position: page.next.at, sequence: page.next.sequence }),
    examined: examined + deleted,
    changed: changed + deleted,
    ...(page.next === null && { state: 'completed', finishedAt: now }),
  })
}

async function act(
  transaction: Transaction,
  action: JobAction,
  id: number,
  note: string,
  now: Instant,
): Promise<OctoflowError | null> {
  switch (action) {
    case 'retry':
      return retryJob(transaction, { id, payload: null, queue: null }, note, now)
    case 'cancel':
      return cancelJob(transaction, id, 'cancelled', note, now)
    case 'delete':
      return (await deleteRequest(transaction, id, now)) ? null : new OctoflowError('job_not_found', { id })
  }
}

export const ofOperation = (record: OperationRecord): OperationDocument => {
  const { id, filter, finishedAt, ...operation } = record
  return { _id: id, ...operation, filter: JSON.stringify(filter), ...(finishedAt !== null && { finishedAt }) }
}

export const toOperation = (document: OperationDocument): Operation => ({
  id: document._id,
  action: document.action,
  filter: JSON.parse(document.filter),
  state: document.state,
  examined: document.examined,
  changed: document.changed,
  skipped: document.skipped,
  createdAt: document.createdAt,
  createdBy: document.createdBy,
  finishedAt: document.finishedAt ?? null,
})
