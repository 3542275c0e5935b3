import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Queue } from '../../../model/queue.ts'
import type { Page } from '../../contract/page.ts'
import type { QueueStore } from '../../contract/queues.ts'
import { pageBy, pageQuery } from '../../sql/paging.ts'
import { COUNT_COLUMNS } from '../../sql/queue-change.ts'
import { noteConfigured, QUEUE_COLUMNS, type QueueRecord, settingsOf, settingsValues, toQueue } from '../../sql/queues.ts'
import type { Queryable } from './connection.ts'
import type { Database } from './database.ts'
import type { Transaction } from './transaction.ts'
import { textArray } from './values.ts'
import type { Writer } from './writer.ts'

export class PostgresQueues implements QueueStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  async list({ page }: Parameters<QueueStore['list']>[0]): Promise<Page<Queue, string>> {
    const { where, order, after, limit } = pageQuery(page, 'q.name', '$1')
    const rows = await this.#db.rows<CountedRecord>(`${SELECT} WHERE ${where} ${order} LIMIT $2`, after, limit)
    return pageBy(rows.map(queueOf), page, ({ name }) => name)
  }

  find({ names }: Parameters<QueueStore['find']>[0]): Promise<readonly Queue[]> {
    return readQueues(this.#db, names)
  }

  configure({ now, name, change, ifVersion }: Parameters<QueueStore['configure']>[0]): Promise<Queue> {
    return this.#writer.write(async (transaction) => {
      const locked = ifVersion === null ? null : await lock(transaction, name)
      if (ifVersion !== null && locked?.[3] !== ifVersion) throw new OctoflowError('precondition_failed')
      if (locked === null) await transaction.makeQueues([name], now)
      const record = locked ?? (await lock(transaction, name))!
      const settings = { ...settingsOf(record), ...change }
      transaction.send(UPDATE_SETTINGS, record[0], ...settingsValues(settings))
      transaction.lanes.wakeAll(record[0])
      const [queue] = await readQueues(transaction, [name])
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

const RECORD_LENGTH = 13

/** In the order of the names; those that do not exist are left out. */
async function readQueues(from: Queryable, names: readonly string[]): Promise<Queue[]> {
  const rows = await from.rows<CountedRecord>(`${SELECT} WHERE q.name = ANY ($1::text[])`, textArray(names))
  const found = new Map(rows.map((row) => [row[1], queueOf(row)]))
  return [...new Set(names)].flatMap((name) => found.get(name) ?? [])
}

function queueOf(row: CountedRecord): Queue {
  const record = row.slice(0, RECORD_LENGTH) as unknown as QueueRecord
  const [, name, createdAt, version] = record
  return toQueue({ name, createdAt, version }, settingsOf(record), row.slice(RECORD_LENGTH) as number[])
}

const SELECT = `SELECT ${QUEUE_COLUMNS}, ${COUNT_COLUMNS.map((column) => `coalesce(c.${column}, 0)`).join(', ')}
  FROM octoflow_queues q
  LEFT JOIN LATERAL (SELECT ${COUNT_COLUMNS.map((column) => `sum(${column}) AS ${column}`).join(', ')}
    FROM octoflow_counts WHERE queue_id = q.id) AS c ON true`

const LOCK = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.name = $1 FOR NO KEY UPDATE`

const UPDATE_SETTINGS = `UPDATE octoflow_queues SET paused = $2, concurrency = $3, key_concurrency = $4, rate_limit = $5,
  key_rate_limit = $6, max_attempts = $7, backoff = $8, retention = $9, handler = $10, version = version + 1 WHERE id = $1`
