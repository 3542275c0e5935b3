import type { Storage, StorageCapabilities } from '../../contract/storage.ts'
import { MongoAccess } from './access.ts'
import { Connection } from './connection.ts'
import { MongoEvents } from './events.ts'
import { MongoIdempotency } from './idempotency.ts'
import { MongoJobs } from './jobs.ts'
import { Journal } from './journal.ts'
import { MongoLeader } from './leader.ts'
import { MongoLeases } from './leases.ts'
import { MongoLogEvents } from './log-events.ts'
import { MongoMigrations } from './migrations.ts'
import { MongoOperations } from './operations.ts'
import { MongoQueues } from './queues.ts'
import { MongoRequests } from './requests.ts'
import { MongoResults } from './results.ts'
import { MongoStats } from './stats.ts'
import { MongoTransfer } from './transfer.ts'
import { MongoUpkeep } from './upkeep.ts'
import { MongoWorkers } from './workers.ts'
import { Writer } from './writer.ts'

/** Any number of servers share the database; of each other's commits they learn by asking. */
const CAPABILITIES: StorageCapabilities = { signals: 'none', shared: true }

export interface MongodbOptions {
  /** `mongodb://` or `mongodb+srv://`. */
  readonly url: string
  /** Told of what concerns no call. */
  readonly onError: (message: string) => void
}

/** A database that speaks MongoDB's protocol. It is connected to by the first call. */
export function openMongodb({ url, onError }: MongodbOptions): Storage {
  const connection = new Connection(url)
  const writer = new Writer(connection, new Journal(connection))
  let closed: Promise<void> | null = null
  const close = async (): Promise<void> => {
    await writer.close()
    await connection.close()
  }
  return {
    capabilities: CAPABILITIES,
    migrations: new MongoMigrations(connection, onError),
    requests: new MongoRequests(connection, writer),
    jobs: new MongoJobs(connection, writer),
    leases: new MongoLeases(writer),
    events: new MongoEvents(connection, writer),
    results: new MongoResults(connection),
    queues: new MongoQueues(connection, writer),
    workers: new MongoWorkers(connection, writer),
    operations: new MongoOperations(connection, writer),
    stats: new MongoStats(connection),
    access: new MongoAccess(connection, writer),
    idempotency: new MongoIdempotency(writer),
    leader: new MongoLeader(writer),
    logEvents: new MongoLogEvents(connection, writer),
    transfer: new MongoTransfer(connection, writer),
    upkeep: new MongoUpkeep(connection, writer),
    onReady: (listener) => writer.onReady(listener),
    onLogEvents: (listener) => writer.onLogEvents(listener),
    close: () => (closed ??= close()),
  }
}
