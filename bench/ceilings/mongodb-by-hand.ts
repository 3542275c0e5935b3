/**
 * The ceiling of the MongoDB driver: what one would write by hand for a queue that keeps its jobs, with one collection, one index
 * and nothing else: no requests, no limits, no leases, no lists, no counts. Without transactions, as the driver does, for not
 * every server has them.
 */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import type { Collection, MongoClient, MongoClientOptions } from 'mongodb'

const { MongoClient: Client } = createRequire(new URL('../../packages/server/package.json', import.meta.url))('mongodb') as {
  MongoClient: new (url: string, options: MongoClientOptions) => MongoClient
}

interface Job {
  readonly queue: string
  readonly state: 'waiting' | 'running' | 'finished'
  readonly priority: number
  readonly runAt: number
  readonly attempt: number
  readonly payload: string
  /** Whose claim has it. */
  readonly claim?: string
  readonly finishedAt?: number
}

const QUEUE = 'bench'

export class MongodbByHand implements AsyncDisposable {
  readonly #client: MongoClient
  readonly #jobs: Collection<Job>
  /** One claim at a time: two would be after the same jobs, and FerretDB may let both have them. */
  #claiming: Promise<unknown> = Promise.resolve()

  private constructor(client: MongoClient) {
    this.#client = client
    this.#jobs = client.db().collection('jobs')
  }

  static async open(url: string): Promise<MongodbByHand> {
    const hand = new MongodbByHand(new Client(url, { writeConcern: { w: 'majority', journal: true } }))
    await hand.#jobs.createIndex({ queue: 1, state: 1, priority: 1, _id: 1 })
    return hand
  }

  async submit(count: number, payload: string): Promise<void> {
    const job = { queue: QUEUE, state: 'waiting', priority: 5, runAt: Date.now(), attempt: 0, payload } as const
    await this.#jobs.insertMany(Array.from({ length: count }, () => ({ ...job })))
  }

  /** @returns how many jobs were claimed and completed. */
  async work(batch: number): Promise<number> {
    const claimed = this.#claiming.then(() => this.#claim(batch))
    this.#claiming = claimed.catch(() => undefined)
    const ids = (await claimed).map(({ _id }) => _id)
    if (ids.length > 0)
      await this.#jobs.updateMany(
        { _id: { $in: ids }, state: 'running' },
        { $set: { state: 'finished', finishedAt: Date.now() } },
      )
    return ids.length
  }

  /** Each document is taken by one update, whoever else is after it; those that another process was faster for are left out. */
  async #claim(batch: number) {
    for (;;) {
      const ready = await this.#jobs
        .find({ queue: QUEUE, state: 'waiting' })
        .sort({ priority: 1, _id: 1 })
        .limit(batch)
        .toArray()
      if (ready.length === 0) return []
      const claim = randomUUID()
      const _id = { $in: ready.map((job) => job._id) }
      const { modifiedCount } = await this.#jobs.updateMany(
        { _id, state: 'waiting' },
        { $set: { state: 'running', claim }, $inc: { attempt: 1 } },
      )
      if (modifiedCount === ready.length) return ready
      if (modifiedCount > 0) return this.#jobs.find({ _id, claim }).toArray()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close()
  }
}
