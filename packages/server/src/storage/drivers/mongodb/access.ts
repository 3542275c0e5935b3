import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { ApiKey } from '../../../model/access.ts'
import type { AccessStore } from '../../contract/access.ts'
import type { Page } from '../../contract/page.ts'
import { type Connection, EXISTING } from './connection.ts'
import type { KeyDocument } from './documents.ts'
import { pageOf, pageQuery } from './paging.ts'
import type { Table } from './table.ts'
import type { Writer } from './writer.ts'

export class MongoAccess implements AccessStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  create({ key, hash }: Parameters<AccessStore['create']>[0]): Promise<void> {
    return this.#writer.write(async ({ tables: { keys } }) => {
      if ((await keys.get(key.id)) !== null) throw new Error(`there is a key ${key.id} already`)
      await refuseKnown(keys, hash)
      keys.put(ofKey({ ...key, hash, lastUsedAt: null }))
    })
  }

  async list({ page }: Parameters<AccessStore['list']>[0]): Promise<Page<ApiKey, string>> {
    const { items, next } = pageOf(await this.#connection.find('keys', pageQuery(page, EXISTING)), page)
    return { items: items.map(toKey), next }
  }

  async findByHash({ hash }: Parameters<AccessStore['findByHash']>[0]): Promise<ApiKey | null> {
    const [found] = await this.#connection.find('keys', { filter: { hash }, limit: 1 })
    return found === undefined ? null : toKey(found)
  }

  rotate({ id, hash }: Parameters<AccessStore['rotate']>[0]): Promise<ApiKey> {
    return this.#writer.write(async ({ tables: { keys } }) => {
      if ((await keys.get(id)) === null) throw new OctoflowError('key_not_found', { id })
      await refuseKnown(keys, hash)
      return toKey(keys.update(id, { hash }))
    })
  }

  delete({ now, id }: Parameters<AccessStore['delete']>[0]): Promise<void> {
    return this.#writer.write(async ({ tables: { keys } }) => {
      if ((await keys.get(id)) === null) throw new OctoflowError('key_not_found', { id })
      keys.delete(id, now)
    })
  }

  touch({ uses }: Parameters<AccessStore['touch']>[0]): Promise<void> {
    return this.#writer.write(async ({ tables: { keys } }) => {
      await keys.load(uses.map(({ id }) => id))
      for (const { id, at } of uses) {
        const key = await keys.get(id)
        if (key !== null) keys.update(id, { lastUsedAt: Math.max(at, key.lastUsedAt ?? 0) })
      }
    })
  }
}

/** Two keys with one text would be one key with two roles. */
async function refuseKnown(keys: Table<'keys'>, hash: string): Promise<void> {
  const matches = (key: KeyDocument): boolean => key.hash === hash
  const known = await keys.find({ filter: { hash }, matches, sort: { _id: 1 }, compare: () => 0, limit: 1 })
  if (known.length > 0) throw new Error('another key has this text')
}

export const ofKey = ({ id, queues, expiresAt, lastUsedAt, ...key }: ApiKey & { readonly hash: string }): KeyDocument => ({
  _id: id,
  hash: key.hash,
  name: key.name,
  role: key.role,
  createdAt: key.createdAt,
  createdBy: key.createdBy,
  ...(queues !== null && { queues }),
  ...(expiresAt !== null && { expiresAt }),
  ...(lastUsedAt !== null && { lastUsedAt }),
})

export const toKey = (document: KeyDocument): ApiKey => ({
  id: document._id,
  name: document.name,
  role: document.role,
  queues: document.queues ?? null,
  createdAt: document.createdAt,
  createdBy: document.createdBy,
  expiresAt: document.expiresAt ?? null,
  lastUsedAt: document.lastUsedAt ?? null,
})
