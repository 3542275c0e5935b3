import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { Job } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import type { LogEventFilter } from '../../../model/log-event.ts'
import type { JobAction, Operation, OperationAction, OperationState } from '../../../model/operation.ts'
import type { OperationStore } from '../../contract/operations.ts'
import type { Page } from '../../contract/page.ts'
import type { MovedJob } from '../../contract/storage.ts'
import { outlineLogEvents } from '../../sql/log-event-listing.ts'
import { pageOf, pageQuery } from '../../sql/paging.ts'
import { stateOf } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { cancelJob, listJobs, retryJobs } from './jobs.ts'
import { MysqlLogEventReader } from './log-event-ranges.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof OperationStore> = Parameters<OperationStore[Verb]>[0]

export class MysqlOperations implements OperationStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  create({ now, action, filter, by }: Params<'create'>): Promise<Operation> {
    return this.#writer.write(async (transaction) => {
      const insert = action === 'delete_log_events' ? INSERT_ON_LOG_EVENTS : INSERT
      const { insertId } = await transaction.execute(insert, action, JSON.stringify(filter), now, by)
      return toOperation(await load(transaction, insertId))
    })
  }

  async find({ ids }: Params<'find'>): Promise<readonly Operation[]> {
    const rows = await this.#db.rows<OperationRecord>(`${SELECT} WHERE id IN (?)`, ids)
    const found = new Map(rows.map((record) => [record[0], toOperation(record)]))
    return ids.flatMap((id) => found.get(id) ?? [])
  }

  async list({ page }: Params<'list'>): Promise<Page<Operation>> {
    const { where, order, after, limit } = pageQuery(page, 'id')
    const rows = await this.#db.rows<OperationRecord>(`${SELECT} WHERE ${where} ${order} LIMIT ?`, after, limit)
    return pageOf(rows.map(toOperation), page)
  }

  async unfinished(): Promise<readonly Operation[]> {
    return (await this.#db.rows<OperationRecord>(`${SELECT} WHERE state = 'running' ORDER BY id`)).map(toOperation)
  }

  step({ now, id, limit, note }: Params<'step'>): ReturnType<OperationStore['step']> {
    return this.#writer.write(async (transaction) => {
      const record = await lock(transaction, id)
      if (record[3] !== 'running') return { operation: toOperation(record), moved: [] }
      return advance(transaction, record, limit, note, now)
    })
  }

  abort({ now, id }: Params<'abort'>): Promise<Operation> {
    return this.#writer.write(async (transaction) => {
      const [, , , state] = await lock(transaction, id)
      if (state !== 'running') throw new OctoflowError('operation_finished', { id, state })
      transaction.send(FINISH, 'aborted', now, id)
      return toOperation(await load(transaction, id))
    })
  }
}

async function load(transaction: Transaction, id: number): Promise<OperationRecord> {
  return (await transaction.rows<OperationRecord>(`${SELECT} WHERE id = ?`, id))[0]!
}

async function lock(transaction: Transaction, id: number): Promise<OperationRecord> {
  const [record] = await transaction.rows<OperationRecord>(`${SELECT} WHERE id = ? FOR UPDATE`, id)
  if (record === undefined) throw new OctoflowError('operation_not_found', { id })
  return record
}

type Step = { readonly operation: Operation; readonly moved: readonly MovedJob[] }

async function advance(
  transaction: Transaction,
  record: OperationRecord,
  limit: number,
  note: string,
  now: Instant,
): Promise<Step> {
  const [, action] = record
  if (action === 'delete_log_events') return { operation: await advanceLogEvents(transaction, record, limit, now), moved: [] }
  return advanceJobs(transaction, action, record, limit, note, now)
}

async function advanceJobs(
  transaction: Transaction,
  action: JobAction,
  [id, , filterText, , position, , upto]: OperationRecord,
  limit: number,
  note: string,
  now: Instant,
): Promise<Step> {
  const filter = JSON.parse(filterText) as JobFilter
  // Jobs change their place in the lists as they are acted on, but never their id: the way through is by id.
  const page = await listJobs(transaction, filter, { order: 'asc', after: position, limit })
  const jobs = page.items.filter((job) => job.id <= upto)
  const changed = await act(transaction, action, jobs, note, now)
  await transaction.lanes.balance(now)
  const last = jobs.at(-1)?.id ?? position
  const next = page.next === null ? last : Math.max(last, page.next)
  const skipped = jobs.length - changed.length
  transaction.send(ADVANCE, next, 0, jobs.length, changed.length, skipped, id)
  if (page.next === null || page.next >= upto) transaction.send(FINISH, 'completed', now, id)
  const moved = changed.flatMap(({ id: jobId, queue, state: before }) => {
    const job = transaction.jobs.find(jobId)
    const state = job === undefined ? before : stateOf(job.stage)
    return state === before ? [] : [{ id: jobId, queue, state }]
  })
  return { operation: toOperation(await load(transaction, id)), moved }
}

/** Goes through the events in order of time, of which none changes its place. */
async function advanceLogEvents(
  transaction: Transaction,
  [id, , filterText, , position, sequence, upto, examined]: OperationRecord,
  limit: number,
  now: Instant,
): Promise<Operation> {
  const filter = JSON.parse(filterText) as LogEventFilter
  const after = examined === 0 && sequence === 0 ? 0 : { at: position, sequence }
  const page = await outlineLogEvents(new MysqlLogEventReader(transaction), { filter, order: 'asc', after, limit })
  const concerned = page.outlines.map((outline) => outline.sequence).filter((found) => found <= upto)
  const deleted = await transaction.logEvents.remove(concerned)
  const place = page.next ?? { at: position, sequence }
  transaction.send(ADVANCE, place.at, place.sequence, deleted, deleted, 0, id)
  if (page.next === null) transaction.send(FINISH, 'completed', now, id)
  return toOperation(await load(transaction, id))
}

/** @returns the jobs that were acted on. */
async function act(
  transaction: Transaction,
  action: JobAction,
  jobs: readonly Job[],
  note: string,
  now: Instant,
): Promise<readonly Job[]> {
  const ids = jobs.map(({ id }) => id)
  switch (action) {
    case 'retry': {
      const items = ids.map((id) => ({ id, payload: null, queue: null }))
      const errors = await retryJobs(transaction, items, note, now)
      return jobs.filter((_, index) => errors[index] === null)
    }
    case 'cancel':
      await transaction.jobs.lock(ids)
      return jobs.filter(({ id }) => cancelJob(transaction, id, 'cancelled', note, now) === null)
    case 'delete': {
      const deleted = await transaction.jobs.delete(ids)
      return jobs.filter(({ id }) => deleted.has(id))
    }
  }
}

export type OperationRecord = readonly [
  id: number,
  action: OperationAction,
  filter: string,
  state: OperationState,
  position: number,
  sequence: number,
  upto: number,
  examined: number,
  changed: number,
  skipped: number,
  createdAt: Instant,
  createdBy: string,
  finishedAt: Instant | null,
]

export const toOperation = (record: OperationRecord): Operation => {
  const [id, action, filter, state, , , , examined, changed, skipped, createdAt, createdBy, finishedAt] = record
  return { id, action, filter: JSON.parse(filter), state, examined, changed, skipped, createdAt, createdBy, finishedAt }
}

export const OPERATION_COLUMNS =
  'id, action, filter, state, position, sequence, upto, examined, changed, skipped, created_at, created_by, finished_at'

const SELECT = `SELECT ${OPERATION_COLUMNS} FROM octoflow_operations`

const insertWith = (upto: string): string => `INSERT INTO octoflow_operations
  (action, filter, state, position, upto, created_at, created_by) SELECT ?, ?, 'running', 0, ${upto}, ?, ?`

const INSERT = insertWith('(SELECT next_id - 1 FROM octoflow_sequence)')

const INSERT_ON_LOG_EVENTS = insertWith('(SELECT next - 1 FROM octoflow_log_event_sequence)')

const ADVANCE = `UPDATE octoflow_operations
  SET position = ?, sequence = ?, examined = examined + ?, changed = changed + ?, skipped = skipped + ? WHERE id = ?`

const FINISH = 'UPDATE octoflow_operations SET state = ?, finished_at = ? WHERE id = ?'
