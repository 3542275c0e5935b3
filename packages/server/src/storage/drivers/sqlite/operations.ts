import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import type { LogEventFilter } from '../../../model/log-event.ts'
import type { JobAction, Operation, OperationAction, OperationState } from '../../../model/operation.ts'
import type { OperationStore } from '../../contract/operations.ts'
import type { Page } from '../../contract/page.ts'
import type { MovedJob } from '../../contract/storage.ts'
import { pageOf, pageQuery } from '../../sql/paging.ts'
import { stateOf } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { deleteRequest, findJob } from './job-rows.ts'
import { cancelJob, listJobs, retryJob } from './jobs.ts'
import { listLogEvents } from './log-event-listing.ts'
import type { LogEventRow } from './log-event-rows.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof OperationStore> = Parameters<OperationStore[Verb]>[0]

export class SqliteOperations implements OperationStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  create({ now, action, filter, by }: Params<'create'>): Promise<Operation> {
    return this.#writer.write((transaction) => {
      const upto = (action === 'delete_log_events' ? transaction.logEvents.upcoming() : transaction.upcomingId()) - 1
      const [id] = transaction.db.row<[number]>(INSERT, action, JSON.stringify(filter), upto, now, by)!
      return load(transaction.db, id)!
    })
  }

  async find({ ids }: Params<'find'>): Promise<readonly Operation[]> {
    return ids.map((id) => load(this.#db, id)).filter((operation) => operation !== null)
  }

  async list({ page }: Params<'list'>): Promise<Page<Operation>> {
    const { where, order, after, limit } = pageQuery(page, 'id')
    const rows = this.#db.all<OperationRow>(`${SELECT_OPERATION} WHERE ${where} ${order} LIMIT ?`, after, limit)
    return pageOf(rows.map(toOperation), page)
  }

  async unfinished(): Promise<readonly Operation[]> {
    return this.#db.all<OperationRow>(`${SELECT_OPERATION} WHERE state = 'running' ORDER BY id`).map(toOperation)
  }

  step({ now, id, limit, note }: Params<'step'>): ReturnType<OperationStore['step']> {
    return this.#writer.write((transaction) => {
      const { db } = transaction
      const row = db.get<OperationRow>(`${SELECT_OPERATION} WHERE id = ?`, id)
      if (row === undefined) throw new OctoflowError('operation_not_found', { id })
      const moved = row.state === 'running' ? advance(transaction, row, limit, note, now) : []
      transaction.lanes.balance(now)
      return { operation: load(db, id)!, moved }
    })
  }

  abort({ now, id }: Params<'abort'>): Promise<Operation> {
    return this.#writer.write(({ db }) => {
      const operation = load(db, id)
      if (operation === null) throw new OctoflowError('operation_not_found', { id })
      if (operation.state !== 'running') throw new OctoflowError('operation_finished', { id, state: operation.state })
      db.run(FINISH, 'aborted', now, id)
      return load(db, id)!
    })
  }
}

function advance(transaction: Transaction, row: OperationRow, limit: number, note: string, now: Instant): MovedJob[] {
  const { action } = row
  if (action !== 'delete_log_events') return advanceJobs(transaction, { ...row, action }, limit, note, now)
  advanceLogEvents(transaction, row, limit, now)
  return []
}

type JobOperation = OperationRow & { readonly action: JobAction }

function advanceJobs(transaction: Transaction, row: JobOperation, limit: number, note: string, now: Instant): MovedJob[] {
  const { db } = transaction
  const filter = JSON.parse(row.filter) as JobFilter
  // Jobs change their place in the lists as they are acted on, but never their id: the way through is by id.
  const page = listJobs(db, filter, { order: 'asc', after: row.position, limit })
  const jobs = page.items.filter((job) => job.id <= row.upto)
  const changed = jobs.filter((job) => act(transaction, row.action, job.id, note, now) === null)
  const last = jobs.at(-1)?.id ?? row.position
  const position = page.next === null ? last : Math.max(last, page.next)
  db.run(ADVANCE, position, 0, jobs.length, changed.length, jobs.length - changed.length, row.id)
  if (page.next === null || page.next >= row.upto) db.run(FINISH, 'completed', now, row.id)
  return changed.flatMap(({ id, queue, state: before }) => {
    const job = findJob(db, id)
    const state = job === undefined ? before : stateOf(job.stage)
    return state === before ? [] : [{ id, queue, state }]
  })
}

/** Goes through the events in order of time, of which none changes its place. */
function advanceLogEvents(transaction: Transaction, row: OperationRow, limit: number, now: Instant): void {
  const { db } = transaction
  transaction.logEvents.settle()
  const filter = JSON.parse(row.filter) as LogEventFilter
  const after = row.sequence === 0 ? 0 : { at: row.position, sequence: row.sequence }
  const { events, next } = listLogEvents(db, { filter, order: 'asc', after, limit })
  const rows = events.map(({ id }) => db.get<LogEventPart>(SELECT_LOG_EVENT_PART, id)!)
  const concerned = rows.filter(({ sequence }) => sequence <= row.upto)
  if (concerned.length > 0) transaction.logEvents.remove(concerned)
  db.run(ADVANCE, next?.at ?? row.position, next?.sequence ?? row.sequence, concerned.length, concerned.length, 0, row.id)
  if (next === null) db.run(FINISH, 'completed', now, row.id)
}

type LogEventPart = Pick<LogEventRow, 'sequence' | 'type' | 'at'>

const SELECT_LOG_EVENT_PART = 'SELECT sequence, type, at FROM octoflow_log_events WHERE id = ?'

function act(transaction: Transaction, action: JobAction, id: number, note: string, now: Instant): OctoflowError | null {
  switch (action) {
    case 'retry':
      return retryJob(transaction, { id, payload: null, queue: null }, note, now)
    case 'cancel':
      return cancelJob(transaction, id, 'cancelled', note, now)
    case 'delete':
      return deleteRequest(transaction, id) ? null : new OctoflowError('job_not_found', { id })
  }
}

function load(db: Database, id: number): Operation | null {
  const row = db.get<OperationRow>(`${SELECT_OPERATION} WHERE id = ?`, id)
  return row === undefined ? null : toOperation(row)
}

export interface OperationRow {
  readonly id: number
  readonly action: OperationAction
  readonly filter: string
  readonly state: OperationState
  readonly position: number
  readonly sequence: number
  readonly upto: number
  readonly examined: number
  readonly changed: number
  readonly skipped: number
  readonly created_at: Instant
  readonly created_by: string
  readonly finished_at: Instant | null
}

export const toOperation = (row: OperationRow): Operation => ({
  id: row.id,
  action: row.action,
  filter: JSON.parse(row.filter),
  state: row.state,
  examined: row.examined,
  changed: row.changed,
  skipped: row.skipped,
  createdAt: row.created_at,
  createdBy: row.created_by,
  finishedAt: row.finished_at,
})

export const OPERATION_COLUMNS = [
  'id',
  'action',
  'filter',
  'state',
  'position',
  'sequence',
  'upto',
  'examined',
  'changed',
  'skipped',
  'created_at',
  'created_by',
  'finished_at',
]

export const SELECT_OPERATION = `SELECT ${OPERATION_COLUMNS.join()} FROM octoflow_operations`

const INSERT = `INSERT INTO octoflow_operations (action, filter, state, position, upto, created_at, created_by)
  VALUES (?, ?, 'running', 0, ?, ?, ?) RETURNING id`

const ADVANCE = `UPDATE octoflow_operations
  SET position = ?, sequence = ?, examined = examined + ?, changed = changed + ?, skipped = skipped + ? WHERE id = ?`

const FINISH = 'UPDATE octoflow_operations SET state = ?, finished_at = ? WHERE id = ?'
