import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { ApiKey, Role } from '../../../model/access.ts'
import type { AccessStore } from '../../contract/access.ts'
import type { Page } from '../../contract/page.ts'
import { pageBy, pageQuery } from '../../sql/paging.ts'
import type { Database } from './database.ts'
import type { Writer } from './writer.ts'

export class SqliteAccess implements AccessStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  create({ key, hash }: Parameters<AccessStore['create']>[0]): Promise<void> {
    const queues = key.queues === null ? null : JSON.stringify(key.queues)
    return this.#writer.write(({ db }) => {
      db.run(INSERT, key.id, hash, key.name, key.role, queues, key.createdAt, key.createdBy, key.expiresAt)
    })
  }

  async list({ page }: Parameters<AccessStore['list']>[0]): Promise<Page<ApiKey, string>> {
    const { where, order, after, limit } = pageQuery(page, 'id')
    const rows = this.#db.all<KeyRow>(`${SELECT} WHERE ${where} ${order} LIMIT ?`, after, limit)
    return pageBy(rows.map(toKey), page, ({ id }) => id)
  }

  async findByHash({ hash }: Parameters<AccessStore['findByHash']>[0]): Promise<ApiKey | null> {
    const row = this.#db.get<KeyRow>(`${SELECT} WHERE hash = ?`, hash)
    return row === undefined ? null : toKey(row)
  }

  rotate({ id, hash }: Parameters<AccessStore['rotate']>[0]): Promise<ApiKey> {
    return this.#writer.write(({ db }) => {
      if (db.run('UPDATE octoflow_keys SET hash = ? WHERE id = ?', hash, id) === 0)
        throw new OctoflowError('key_not_found', { id })
      return toKey(db.get<KeyRow>(`${SELECT} WHERE id = ?`, id)!)
    })
  }

  delete({ id }: Parameters<AccessStore['delete']>[0]): Promise<void> {
    return this.#writer.write(({ db }) => {
      if (db.run('DELETE FROM octoflow_keys WHERE id = ?', id) === 0) throw new OctoflowError('key_not_found', { id })
    })
  }

  touch({ uses }: Parameters<AccessStore['touch']>[0]): Promise<void> {
    return this.#writer.write(({ db }) => {
      for (const { id, at } of uses) db.run(TOUCH, at, id)
    })
  }
}

export interface KeyRow {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly queues: string | null
  readonly created_at: Instant
  readonly created_by: string
  readonly expires_at: Instant | null
  readonly last_used_at: Instant | null
}

export const toKey = (row: KeyRow): ApiKey => ({
  id: row.id,
  name: row.name,
  role: row.role,
  queues: row.queues === null ? null : JSON.parse(row.queues),
  createdAt: row.created_at,
  createdBy: row.created_by,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at,
})

const SELECT = 'SELECT id, name, role, queues, created_at, created_by, expires_at, last_used_at FROM octoflow_keys'

const TOUCH = 'UPDATE octoflow_keys SET last_used_at = max(?, coalesce(last_used_at, 0)) WHERE id = ?'

const INSERT = `INSERT INTO octoflow_keys (id, hash, name, role, queues, created_at, created_by, expires_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
