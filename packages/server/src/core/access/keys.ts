import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Instant } from '../../lib/time.ts'
import { type ApiKey, inScope, type Principal, type QueueScope, type Role } from '../../model/access.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import { everyItem, pageOf } from '../paging.ts'
import type { Ports } from '../ports.ts'
import { digest, newToken, tokenFor } from './tokens.ts'

export interface NewKey {
  readonly name: string
  readonly role: Role
  /** `null` for those of whoever makes the key. */
  readonly queues: QueueScope
  readonly expiresAt: Instant | null
}

/** An API key with its text, which exists only in the answer that makes it. */
export interface KeyWithToken {
  readonly key: ApiKey
  readonly token: string
}

/** Making and unmaking API keys. Who is limited to some queues has to do with no key that reaches beyond them. */
export class Keys {
  readonly #ports: Ports
  readonly #listeners = new Set<() => void>()

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** In order of id, which is that of their making. What the scope does not cover shows in no way, not in `next` either. */
  async list(page: PageRequest<string>, scope: QueueScope): Promise<Page<ApiKey, string>> {
    if (scope === null) return this.#ports.storage.access.list({ page })
    return pageOf(await Array.fromAsync(this.#within(scope)), ({ id }) => id, page)
  }

  /** @throws `queue_out_of_scope` */
  async create(wanted: NewKey, by: Principal): Promise<KeyWithToken> {
    const queues = wanted.queues ?? by.queues
    const other = queues?.find((queue) => !inScope(by.queues, queue))
    if (other !== undefined) throw new OctoflowError('queue_out_of_scope', { queue: other })
    const now = this.#ports.clock.now()
    if (wanted.expiresAt !== null && wanted.expiresAt <= now)
      throw new OctoflowError('invalid_body', { reason: 'expiresAt lies in the past' })
    const { id, token } = newToken(now)
    const key: ApiKey = { ...wanted, queues, id, createdAt: now, createdBy: by.name, lastUsedAt: null }
    await this.#ports.storage.access.create({ key, hash: digest(token) })
    this.#ports.logger.info({ key: id, role: key.role, by: by.name }, 'API key created')
    return { key, token }
  }

  /** Gives a key a new text; the old one is void from now on. @throws `key_not_found` */
  async rotate(id: string, by: Principal): Promise<KeyWithToken> {
    await this.#checkScope(id, by.queues)
    const token = tokenFor(id)
    const key = await this.#ports.storage.access.rotate({ id, hash: digest(token) })
    this.#changed({ key: id, by: by.name }, 'API key rotated')
    return { key, token }
  }

  /** @throws `key_not_found` */
  async delete(id: string, by: Principal): Promise<void> {
    await this.#checkScope(id, by.queues)
    await this.#ports.storage.access.delete({ now: this.#ports.clock.now(), id })
    this.#changed({ key: id, by: by.name }, 'API key deleted')
  }

  /** Tells that keys became void. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  async #checkScope(id: string, scope: QueueScope): Promise<void> {
    if (scope === null) return
    for await (const key of this.#within(scope)) if (key.id === id) return
    throw new OctoflowError('key_not_found', { id })
  }

  async *#within(scope: QueueScope): AsyncGenerator<ApiKey, void, void> {
    for await (const key of everyItem((page) => this.#ports.storage.access.list({ page })))
      if (isWithin(key.queues, scope)) yield key
  }

  #changed(fields: object, message: string): void {
    this.#ports.logger.info(fields, message)
    for (const listener of this.#listeners) listener()
  }
}

const isWithin = (queues: QueueScope, scope: QueueScope): boolean =>
  scope === null || queues?.every((queue) => scope.includes(queue)) === true
