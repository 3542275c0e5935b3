import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { ApiKey } from '../../../model/access.ts'
import type { AccessStore } from '../../contract/access.ts'
import type { Page } from '../../contract/page.ts'
import { KEY_COLUMNS, type KeyRecord, toKey } from '../../sql/access.ts'
import { pageBy, pageQuery } from '../../sql/paging.ts'
import type { Database } from './database.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

export class PostgresAccess implements AccessStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  create({ key, hash }: Parameters<AccessStore['create']>[0]): Promise<void> {
    const queues = key.queues === null ? null : JSON.stringify(key.queues)
    return this.#writer.write((transaction) =>
      transaction.send(INSERT, key.id, hash, key.name, key.role, queues, key.createdAt, key.createdBy, key.expiresAt),
    )
  }

  async list({ page }: Parameters<AccessStore['list']>[0]): Promise<Page<ApiKey, string>> {
    const { where, order, after, limit } = pageQuery(page, 'id', '$1')
    const rows = await this.#db.rows<KeyRecord>(`${SELECT} WHERE ${where} ${order} LIMIT $2`, after, limit)
    return pageBy(rows.map(toKey), page, ({ id }) => id)
  }

  async findByHash({ hash }: Parameters<AccessStore['findByHash']>[0]): Promise<ApiKey | null> {
    const [record] = await this.#db.rows<KeyRecord>(`${SELECT} WHERE hash = $1`, hash)
    return record === undefined ? null : toKey(record)
  }

  rotate({ id, hash }: Parameters<AccessStore['rotate']>[0]): Promise<ApiKey> {
    return this.#writer.write(async (transaction) => {
      const [record] = await transaction.rows<KeyRecord>(ROTATE, id, hash)
      if (record === undefined) throw new OctoflowError('key_not_found', { id })
      return toKey(record)
    })
  }

  delete({ id }: Parameters<AccessStore['delete']>[0]): Promise<void> {
    return this.#writer.write(async (transaction) => {
      if ((await transaction.rows(DELETE, id)).length === 0) throw new OctoflowError('key_not_found', { id })
    })
  }

  touch({ uses }: Parameters<AccessStore['touch']>[0]): Promise<void> {
    return this.#writer.write(
      (transaction) => transaction.send(TOUCH, textArray(uses.map(({ id }) => id)), array(uses.map(({ at }) => at))),
      { repeatable: true },
    )
  }
}

const SELECT = `SELECT ${KEY_COLUMNS} FROM octoflow_keys`

const INSERT = `INSERT INTO octoflow_keys (id, hash, name, role, queues, created_at, created_by, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

const ROTATE = `UPDATE octoflow_keys SET hash = $2 WHERE id = $1 RETURNING ${KEY_COLUMNS}`

const DELETE = 'DELETE FROM octoflow_keys WHERE id = $1 RETURNING id'

const TOUCH = `UPDATE octoflow_keys k SET last_used_at = greatest(u.at, k.last_used_at) FROM (
    SELECT id, max(at) AS at FROM unnest($1::text[], $2::bigint[]) AS given (id, at) GROUP BY id ORDER BY id
  ) AS u WHERE k.id = u.id`
