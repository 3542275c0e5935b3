import type { Db, Document } from 'mongodb'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { MigrationStore } from '../../contract/migrations.ts'
import type { Connection } from './connection.ts'
import { isDuplicate } from './errors.ts'
import { initial } from './migrations/0001-initial.ts'
import { logEvents } from './migrations/0002-log-events.ts'

/** A step of the schema. It may be taken by several servers at once, and again where one was stopped half-way. */
export interface Migration {
  readonly name: string
  readonly up: (db: Db) => Promise<void>
}

/** In order: the first one leads to version 1. */
const MIGRATIONS: readonly Migration[] = [initial, logEvents]

/** Said at each start. */
const SINGLE_NODE =
  'the database is a single node: what is acknowledged is on its disk, and lost with it. In a replica set it is on those of a majority.'

export class MongoMigrations implements MigrationStore {
  readonly #connection: Connection
  readonly #onError: (message: string) => void
  readonly #migrations: readonly Migration[]

  constructor(connection: Connection, onError: (message: string) => void, migrations: readonly Migration[] = MIGRATIONS) {
    this.#connection = connection
    this.#onError = onError
    this.#migrations = migrations
  }

  async migrate({ now }: { readonly now: Instant }): Promise<readonly number[]> {
    const { version: from, latest } = await this.status()
    if (from > latest) throw new OctoflowError('schema_newer', { found: from, known: latest })
    const applied: number[] = []
    for (const [index, { name, up }] of this.#migrations.entries()) {
      const version = index + 1
      if (version <= from) continue
      await this.#connection.run(up)
      if (await this.#record({ _id: version, name, appliedAt: now })) applied.push(version)
    }
    if (await this.#connection.isSingleNode()) this.#onError(SINGLE_NODE)
    return applied
  }

  async status(): Promise<{ readonly version: number; readonly latest: number }> {
    const [last] = await this.#connection.run(async () =>
      (await this.#connection.collection('schema')).find({}, { sort: { _id: -1 }, limit: 1 }).toArray(),
    )
    return { version: Number(last?._id ?? 0), latest: this.#migrations.length }
  }

  /** Many may have taken the step; the one whose document is stored has applied it. */
  async #record(step: { readonly _id: number; readonly name: string; readonly appliedAt: Instant }): Promise<boolean> {
    return this.#connection.run(async () => {
      try {
        await (await this.#connection.collection('schema')).insertOne(step as unknown as Document)
        return true
      } catch (error) {
        if (isDuplicate(error)) return false
        throw error
      }
    })
  }
}
