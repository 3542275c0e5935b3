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
import { PostgresLogEventReader } from './log-event-ranges.ts'
import type { Transaction } from './transaction.ts'
import { array } from './values.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof OperationStore> = Parameters<OperationStore[Verb]>[0]

export class PostgresOperations implements OperationStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  create({ now, action, filter, by }: Params<'create'>): Promise<Operation> {
    return this.#writer.write(async (transaction) => {
      const [record] = await transaction.rows<OperationRecord>(INSERT, action, JSON.stringify(filter), now, by)
      return toOperation(record!)
    })
  }

  async find({ ids }: Params<'find'>): Promise<readonly Operation[]> {
    const rows = await this.#db.rows<OperationRecord>(`${SELECT} WHERE id = ANY ($1::bigint[])`, array(ids))
    const found = new Map(rows.map((record) => [record[0], toOperation(record)]))
    return ids.flatMap((id) => found.get(id) ?? [])
  }

  async list({ page }: Params<'list'>): Promise<Page<Operation>> {
    const { where, order, after, limit } = pageQuery(page, 'id', '$1')
    const rows = await this.#db.rows<OperationRecord>(`${SELECT} WHERE ${where} ${order} LIMIT $2`, after, limit)
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
      const [advanced] = await transaction.rows<OperationRecord>(ADVANCE, id, position, sequence, examined, changed, skipped)
      const [finished] = done ? await transaction.rows<OperationRecord>(FINISH, id, 'completed', now) : [advanced]
      return { operation: toOperation(finished!), moved }
    })
  }

  abort({ now, id }: Params<'abort'>): Promise<Operation> {
    return this.#writer.write(async (transaction) => {
      const [, , , state] = await lock(transaction, id)
      if (state !== 'running') throw new OctoflowError('operation_finished', { id, state })
      const [record] = await transaction.rows<OperationRecord>(FINISH, id, 'aborted', now)
      return toOperation(record!)
    })
  }
}

async function lock(transaction: Transaction, id: number): Promise<OperationRecord> {
  const [record] = await transaction.rows<OperationRecord>(`${SELECT} WHERE id = $1 FOR NO KEY UPDATE`, id)
  if (record === undefined) throw new OctoflowError('operation_not_found', { id })
  return record
}

const VERBS: OperationVerbs<Transaction> = {
  jobs: jobStatements,
  logEventsOf: (transaction) => new PostgresLogEventReader(transaction),
}

const SELECT = `SELECT ${OPERATION_COLUMNS} FROM octoflow_operations`

const INSERT = `INSERT INTO octoflow_operations (action, filter, state, position, upto, created_at, created_by)
  SELECT $1, $2, 'running', 0, CASE WHEN $1 = 'delete_log_events' THEN (SELECT last_value FROM octoflow_log_event_sequence)
    WHEN is_called THEN last_value ELSE 0 END, $3, $4 FROM octoflow_ids RETURNING ${OPERATION_COLUMNS}`

const ADVANCE = `UPDATE octoflow_operations
  SET position = $2, sequence = $3, examined = examined + $4, changed = changed + $5, skipped = skipped + $6
  WHERE id = $1 RETURNING ${OPERATION_COLUMNS}`

const FINISH = `UPDATE octoflow_operations SET state = $2, finished_at = $3 WHERE id = $1 RETURNING ${OPERATION_COLUMNS}`
