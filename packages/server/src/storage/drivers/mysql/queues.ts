import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Queue } from '../../../model/queue.ts'
import type { Page } from '../../contract/page.ts'
import type { QueueStore } from '../../contract/queues.ts'
import { pageBy, pageQuery } from '../../sql/paging.ts'
import { COUNT_COLUMNS } from '../../sql/queue-change.ts'
import { noteConfigured, settingsOf, settingsValues, toQueue } from '../../sql/queues.ts'
import type { Queryable } from './connection.ts'
import type { Database } from './database.ts'
import { QUEUE_COLUMNS, type QueueRecord } from './queue-rows.ts'
import type { Transaction } from './transaction.ts'
import type { Value } from './values.ts'
import type { Writer } from './writer.ts'

export class MysqlQueues implements QueueStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  async list({ page }: Parameters<QueueStore['list']>[0]): Promise<Page<Queue, string>> {
    const { where, order, after, limit } = pageQuery(page, 'q.name')
    return pageBy(await selectQueues(this.#db, `${where} ${order} LIMIT ?`, after, limit), page, ({ name }) => name)
  }

  find({ names }: Parameters<QueueStore['find']>[0]): Promise<readonly Queue[]> {
    return findQueues(this.#db, names)
  }

  configure({ now, name, change, ifVersion }: Parameters<QueueStore['configure']>[0]): Promise<Queue> {
    return this.#writer.write(async (transaction) => {
      const locked = ifVersion === null ? null : await lock(transaction, name)
      if (ifVersion !== null && locked?.[3] !== ifVersion) throw new OctoflowError('precondition_failed')
      if (locked === null) await transaction.makeQueues([name], now)
      const record = locked ?? (await lock(transaction, name))!
      const settings = { ...settingsOf(record), ...change }
      transaction.send(UPDATE_SETTINGS, ...settingsValues(settings), record[0])
      transaction.lanes.reviewAll([record[0]])
      const [queue] = await findQueues(transaction, [name])
      noteConfigured(transaction.change(record[0]), queue!)
      return queue!
    })
  }
}

async function lock(transaction: Transaction, name: string): Promise<QueueRecord | null> {
  const [record] = await transaction.rows<QueueRecord>(LOCK, name)
  if (record !== undefined) transaction.learn(record)
  return record ?? null
}

type CountedRecord = readonly [...record: QueueRecord, ...counts: number[]]

const RECORD_LENGTH = 14

/** In the order asked for, each once; those that do not exist are left out. */
async function findQueues(from: Queryable, names: readonly string[]): Promise<Queue[]> {
  const found = new Map((await selectQueues(from, 'q.name IN (?)', names)).map((queue) => [queue.name, queue]))
  return [...new Set(names)].flatMap((name) => found.get(name) ?? [])
}

async function selectQueues(from: Queryable, where: string, ...values: readonly Value[]): Promise<Queue[]> {
  return (await from.rows<CountedRecord>(`${SELECT} WHERE ${where}`, ...values)).map(queueOf)
}

function queueOf(row: CountedRecord): Queue {
  const record = row.slice(0, RECORD_LENGTH) as unknown as QueueRecord
  const [, name, createdAt, version] = record
  return toQueue({ name, createdAt, version }, settingsOf(record), row.slice(RECORD_LENGTH) as number[])
}

const SELECT = `SELECT ${QUEUE_COLUMNS}, ${COUNT_COLUMNS.map(
  (column) => `(SELECT COALESCE(SUM(${column}), 0) FROM octoflow_counts WHERE queue_id = q.id)`,
).join(', ')} FROM octoflow_queues q`

const LOCK = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.name = ? FOR UPDATE`

const UPDATE_SETTINGS = `UPDATE octoflow_queues SET paused = ?, concurrency = ?, key_concurrency = ?, rate_limit = ?,
  key_rate_limit = ?, max_attempts = ?, backoff = ?, retention = ?, handler = ?, version = version + 1 WHERE id = ?`
