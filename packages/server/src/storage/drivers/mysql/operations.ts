import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Operation } from '../../../model/operation.ts'
import type { OperationStore } from '../../contract/operations.ts'
import type { Page } from '../../contract/page.ts'
import {
  OPERATION_COLUMNS,
  type OperationRecord,
  type OperationVerbs,
  stepOperation,
  toOperation,
} from '../../sql/operations.ts'
import { pageOf, pageQuery } from '../../sql/paging.ts'
import type { Database } from './database.ts'
import { jobStatements } from './jobs.ts'
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
      const step = await stepOperation(transaction, VERBS, record, { limit, note, now })
      const { position, sequence, examined, changed, skipped, done, moved } = step
      transaction.send(ADVANCE, position, sequence, examined, changed, skipped, id)
      if (done) transaction.send(FINISH, 'completed', now, id)
      return { operation: toOperation(await load(transaction, id)), moved }
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

const VERBS: OperationVerbs<Transaction> = {
  jobs: jobStatements,
  logEventsOf: (transaction) => new MysqlLogEventReader(transaction),
}

const SELECT = `SELECT ${OPERATION_COLUMNS} FROM octoflow_operations`

const insertWith = (upto: string): string => `INSERT INTO octoflow_operations
  (action, filter, state, position, upto, created_at, created_by) SELECT ?, ?, 'running', 0, ${upto}, ?, ?`

const INSERT = insertWith('(SELECT next_id - 1 FROM octoflow_sequence)')

const INSERT_ON_LOG_EVENTS = insertWith('(SELECT next - 1 FROM octoflow_log_event_sequence)')

const ADVANCE = `UPDATE octoflow_operations
  SET position = ?, sequence = ?, examined = examined + ?, changed = changed + ?, skipped = skipped + ? WHERE id = ?`

const FINISH = 'UPDATE octoflow_operations SET state = ?, finished_at = ? WHERE id = ?'
