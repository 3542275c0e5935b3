import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Instant } from '../../lib/time.ts'
import type { ApiKey, Principal, QueueScope, Role } from '../../model/access.ts'
import type { Ports } from '../ports.ts'
import { digest, newToken, tokenFor } from './tokens.ts'

export interface NewKey {
  readonly name: string
  readonly role: Role
  readonly queues: QueueScope
  readonly expiresAt: Instant | null
}

/** An API key with its text, which exists only in the answer that makes it. */
export interface KeyWithToken {
  readonly key: ApiKey
  readonly token: string
}

/** Making and unmaking API keys. */
export class Keys {
  readonly #ports: Ports
  readonly #listeners = new Set<() => void>()

  constructor(ports: Ports) {
    this.#ports = ports
  }

  list(): Promise<readonly ApiKey[]> {
    return this.#ports.storage.access.list()
  }

  async create(wanted: NewKey, by: Principal): Promise<KeyWithToken> {
    const now = this.#ports.clock.now()
    if (wanted.expiresAt !== null && wanted.expiresAt <= now)
      throw new OctoflowError('invalid_body', { reason: 'expiresAt lies in the past' })
    const { id, token } = newToken()
    const key: ApiKey = { ...wanted, id, createdAt: now, createdBy: by.name, lastUsedAt: null }
    await this.#ports.storage.access.create({ key, hash: digest(token) })
    this.#ports.logger.info({ key: id, role: key.role, by: by.name }, 'API key created')
    return { key, token }
  }

  /** Gives a key a new text; the old one is void from now on. @throws `key_not_found` */
  async rotate(id: string, by: Principal): Promise<KeyWithToken> {
    const token = tokenFor(id)
    const key = await this.#ports.storage.access.rotate({ id, hash: digest(token) })
    this.#changed({ key: id, by: by.name }, 'API key rotated')
    return { key, token }
  }

  /** @throws `key_not_found` */
  async delete(id: string, by: Principal): Promise<void> {
    await this.#ports.storage.access.delete({ id })
    this.#changed({ key: id, by: by.name }, 'API key deleted')
  }

  /** Tells that keys became void. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  #changed(fields: object, message: string): void {
    this.#ports.logger.info(fields, message)
    for (const listener of this.#listeners) listener()
  }
}
