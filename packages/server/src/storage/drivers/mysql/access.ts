import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { ApiKey } from '../../../model/access.ts'
import type { AccessStore } from '../../contract/access.ts'
import type { Page } from '../../contract/page.ts'
import { KEY_COLUMNS, type KeyRecord, toKey } from '../../sql/access.ts'
import { pageBy, pageQuery } from '../../sql/paging.ts'
import type { Database } from './database.ts'
import type { Writer } from './writer.ts'

export class MysqlAccess implements AccessStore {
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
    const { where, order, after, limit } = pageQuery(page, 'id')
    const rows = await this.#db.rows<KeyRecord>(`${SELECT} WHERE ${where} ${order} LIMIT ?`, after, limit)
    return pageBy(rows.map(toKey), page, ({ id }) => id)
  }

  async findByHash({ hash }: Parameters<AccessStore['findByHash']>[0]): Promise<ApiKey | null> {
    const [record] = await this.#db.rows<KeyRecord>(`${SELECT} WHERE hash = ?`, hash)
    return record === undefined ? null : toKey(record)
  }

  rotate({ id, hash }: Parameters<AccessStore['rotate']>[0]): Promise<ApiKey> {
    return this.#writer.write(async (transaction) => {
      transaction.send('UPDATE octoflow_keys SET hash = ? WHERE id = ?', hash, id)
      const [record] = await transaction.rows<KeyRecord>(`${SELECT} WHERE id = ?`, id)
      if (record === undefined) throw new OctoflowError('key_not_found', { id })
      return toKey(record)
    })
  }

  delete({ id }: Parameters<AccessStore['delete']>[0]): Promise<void> {
    return this.#writer.write(async (transaction) => {
      const { affectedRows } = await transaction.execute('DELETE FROM octoflow_keys WHERE id = ?', id)
      if (affectedRows === 0) throw new OctoflowError('key_not_found', { id })
    })
  }

  touch({ uses }: Parameters<AccessStore['touch']>[0]): Promise<void> {
    return this.#writer.write(
      (transaction) => {
        for (const { id, at } of uses.toSorted((a, b) => (a.id < b.id ? -1 : 1))) transaction.send(TOUCH, at, id)
      },
      { repeatable: true },
    )
  }
}

const SELECT = `SELECT ${KEY_COLUMNS} FROM octoflow_keys`

const INSERT = `INSERT INTO octoflow_keys (id, hash, name, role, queues, created_at, created_by, expires_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

const TOUCH = 'UPDATE octoflow_keys SET last_used_at = GREATEST(?, COALESCE(last_used_at, 0)) WHERE id = ?'
