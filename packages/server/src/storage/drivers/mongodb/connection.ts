import type { Collection, Db, Document, Filter, FindOptions, MongoClient, Sort } from 'mongodb'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { CollectionName, Collections } from './documents.ts'
import { mapError } from './errors.ts'
import { oneOf } from './one-of.ts'

/** The database, where the URL names none. */
const DEFAULT_DATABASE = 'octoflow'

/** How long a call waits for a server to turn up, and for an answer of one that is alive. */
const SELECTION_TIMEOUT_MS = 4_000
const SOCKET_TIMEOUT_MS = 30_000
/** How often a server is asked for a sign of life; without one in time all connections to it are given up. */
const PULSE_EVERY_MS = 2_000
const PULSE_WITHIN_MS = 4_000

/** Of documents of which nothing but a mark is left, there are none among these. */
export const EXISTING: Document = { deletedAt: { $exists: false } }

/** What a query gives: which documents, in which order, and how many at most. */
export interface Query {
  readonly filter: Document
  readonly sort?: Readonly<Record<string, 1 | -1>>
  readonly skip?: number
  readonly limit?: number
  readonly projection?: Document
}

/**
 * The client, made and connected by the first call: importing it takes longer than the embedded database takes to start.
 * @throws `OctoflowError` for the conditions of a database: unreachable, full, closed.
 */
export class Connection {
  readonly #url: string
  #client: Promise<MongoClient> | null = null
  #closed = false

  constructor(url: string) {
    this.#url = url
  }

  async db(): Promise<Db> {
    if (this.#closed) throw new OctoflowError('storage_closed')
    this.#client ??= this.#connect()
    return (await this.#client).db(databaseOf(this.#url))
  }

  async collection(name: string): Promise<Collection<Document>> {
    return (await this.db()).collection(`octoflow_${name}`, { ignoreUndefined: true })
  }

  /** Runs a command, or several, and says in Octoflow's terms what went wrong. */
  async run<Result>(work: (db: Db) => Promise<Result>): Promise<Result> {
    try {
      return await work(await this.db())
    } catch (error) {
      throw this.#closed ? new OctoflowError('storage_closed', {}, { cause: error }) : mapError(error)
    }
  }

  /** What a query gives, with what is left of documents that were deleted. */
  async query<Name extends CollectionName>(name: Name, query: Query): Promise<Collections[Name][]> {
    const { filter, sort, skip, limit, projection } = query
    const options = {
      ...(sort !== undefined && { sort: sort as Sort }),
      ...(skip !== undefined && { skip }),
      ...(limit !== undefined && { limit }),
      ...(projection !== undefined && { projection }),
    }
    const found = await this.run(async () => (await this.collection(name)).find(filter as Filter<Document>, options).toArray())
    return found as unknown as Collections[Name][]
  }

  /** Documents that are there; those that were deleted are left out. */
  async find<Name extends CollectionName>(name: Name, query: Query): Promise<Collections[Name][]> {
    return (await this.query(name, query)).filter(({ deletedAt }) => deletedAt === undefined)
  }

  /** The first documents of a query's result: so many that they are `enough`, in whatever that measures. */
  async take<Name extends CollectionName>(
    name: Name,
    query: Query,
    sizeOf: (document: Collections[Name]) => number,
    enough: number,
  ): Promise<Collections[Name][]> {
    const { filter, ...options } = query
    return this.run(async () => {
      const taken: Collections[Name][] = []
      let size = 0
      const cursor = (await this.collection(name)).find(filter as Filter<Document>, options as FindOptions)
      for await (const found of cursor) {
        const document = found as unknown as Collections[Name]
        taken.push(document)
        size += sizeOf(document)
        if (size >= enough) break
      }
      return taken
    })
  }

  count(name: CollectionName): Promise<number> {
    return this.run(async () => (await this.collection(name)).countDocuments(EXISTING))
  }

  findByIds<Name extends CollectionName>(
    name: Name,
    ids: readonly Collections[Name]['_id'][],
    projection?: Document,
  ): Promise<Collections[Name][]> {
    if (ids.length === 0) return Promise.resolve([])
    const filter = oneOf('_id', ids)
    return this.find(name, projection === undefined ? { filter } : { filter, projection })
  }

  /** Whether what is stored is on one machine alone. */
  isSingleNode(): Promise<boolean> {
    return this.run(async (db) => {
      const { setName, msg } = await db.command({ hello: 1 })
      // The router of a sharded cluster has the name of no replica set, but those behind it have.
      return setName === undefined && msg !== 'isdbgrid'
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const client = await this.#client?.catch(() => null)
    await client?.close()
  }

  async #connect(): Promise<MongoClient> {
    const { MongoClient } = await import('mongodb')
    return new MongoClient(this.#url, {
      appName: 'octoflow',
      ignoreUndefined: true,
      // Whatever the URL says: what is acknowledged is on the disks of a majority, and what is read was acknowledged. A server
      // that computes its commit on what an election takes back would commit what never happened.
      writeConcern: { w: 'majority', journal: true },
      readConcern: { level: 'majority' },
      readPreference: 'primary',
      // Every write of the driver may be repeated, and is where that is right; not every server can tell a repetition.
      retryWrites: false,
      serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS,
      socketTimeoutMS: SOCKET_TIMEOUT_MS,
      heartbeatFrequencyMS: PULSE_EVERY_MS,
      connectTimeoutMS: PULSE_WITHIN_MS,
    })
  }
}

const databaseOf = (url: string): string => decodeURIComponent(/^[^:]+:\/\/[^/?]*\/([^?]+)/.exec(url)?.[1] ?? DEFAULT_DATABASE)
