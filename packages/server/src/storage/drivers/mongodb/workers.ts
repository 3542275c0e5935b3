import type { WorkerInfo } from '../../../model/worker.ts'
import type { Sighting, WorkerStore } from '../../contract/workers.ts'
import type { Connection } from './connection.ts'
import type { WorkerDocument } from './documents.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

export class MongoWorkers implements WorkerStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  seen({ workers }: Parameters<WorkerStore['seen']>[0]): Promise<void> {
    return this.#writer.write(async (transaction) => {
      await transaction.tables.workers.load(workers.map(({ id }) => id))
      for (const sighting of workers) await note(transaction, sighting)
    })
  }

  async list({ since }: Parameters<WorkerStore['list']>[0]): Promise<readonly WorkerInfo[]> {
    const found = await this.#connection.find('workers', { filter: { lastSeenAt: { $gte: since } }, sort: { _id: 1 } })
    return found.map(toWorker)
  }

  setDraining({ id, draining }: Parameters<WorkerStore['setDraining']>[0]): Promise<boolean> {
    return this.#writer.write(async ({ tables: { workers } }) => {
      if ((await workers.get(id)) === null) return false
      workers.update(id, { draining })
      return true
    })
  }
}

async function note({ tables: { workers } }: Transaction, { id, at, queues, agent }: Sighting): Promise<void> {
  const known = await workers.get(id)
  if (known === null) {
    workers.put(ofWorker({ id, queues: [...new Set(queues)], firstSeenAt: at, lastSeenAt: at, draining: false, agent }))
    return
  }
  const more = queues.filter((queue) => !known.queues.includes(queue))
  workers.update(id, {
    lastSeenAt: Math.max(known.lastSeenAt, at),
    ...(more.length > 0 && { queues: [...new Set([...known.queues, ...more])] }),
    ...(agent !== null && { agent }),
  })
}

export const ofWorker = ({ id, agent, ...worker }: WorkerInfo): WorkerDocument => ({
  _id: id,
  ...worker,
  ...(agent !== null && { agent }),
})

export const toWorker = (document: WorkerDocument): WorkerInfo => ({
  id: document._id,
  queues: document.queues,
  firstSeenAt: document.firstSeenAt,
  lastSeenAt: document.lastSeenAt,
  draining: document.draining,
  agent: document.agent ?? null,
})
