import type { Storage, StorageCapabilities } from '../../contract/storage.ts'
import { SqliteAccess } from './access.ts'
import { Checkpointer } from './checkpointer.ts'
import { Database } from './database.ts'
import { SqliteEvents } from './events.ts'
import { SqliteIdempotency } from './idempotency.ts'
import { SqliteJobs } from './jobs.ts'
import { SqliteLeader } from './leader.ts'
import { SqliteLeases } from './leases.ts'
import { SqliteLogEvents } from './log-events.ts'
import { SqliteMigrations } from './migrations.ts'
import { SqliteOperations } from './operations.ts'
import { Ownership } from './ownership.ts'
import { SqliteQueues } from './queues.ts'
import { SqliteRequests } from './requests.ts'
import { SqliteResults } from './results.ts'
import { SqliteStats } from './stats.ts'
import { SqliteTransfer } from './transfer.ts'
import { SqliteUpkeep } from './upkeep.ts'
import { SqliteWorkers } from './workers.ts'
import { Writer } from './writer.ts'

/** One process owns the file; it learns of every commit by itself. */
const CAPABILITIES: StorageCapabilities = { signals: 'all-servers', shared: false }

export interface SqliteOptions {
  /** A file, made if it is missing, or `:memory:`. */
  readonly path: string
  /** Refuses to share the file with another process that asks for the same. */
  readonly exclusive?: boolean
  /** Told of trouble that concerns no call, such as a checkpoint that failed. */
  readonly onError: (message: string) => void
}

/**
 * The embedded database. Calls are answered on the calling thread: SQLite is fast enough that handing work to another
 * one would cost more than it gains (measured: the same throughput, and a hop more latency).
 */
export function openSqlite({ path, exclusive = false, onError }: SqliteOptions): Storage {
  const db = new Database(path)
  const ownership = exclusive ? own(db) : null
  const checkpointer = new Checkpointer(db, onError)
  const writer = new Writer(db, () => checkpointer.committed())
  let closed: Promise<void> | null = null
  const close = async (): Promise<void> => {
    writer.close()
    await checkpointer.close()
    db.close()
    ownership?.end()
  }
  return {
    capabilities: CAPABILITIES,
    migrations: new SqliteMigrations(db),
    requests: new SqliteRequests(db, writer),
    jobs: new SqliteJobs(db, writer),
    leases: new SqliteLeases(db, writer),
    events: new SqliteEvents(db, writer),
    results: new SqliteResults(db),
    queues: new SqliteQueues(db, writer),
    workers: new SqliteWorkers(db, writer),
    operations: new SqliteOperations(db, writer),
    stats: new SqliteStats(db),
    access: new SqliteAccess(db, writer),
    idempotency: new SqliteIdempotency(writer),
    leader: new SqliteLeader(writer),
    logEvents: new SqliteLogEvents(db, writer),
    transfer: new SqliteTransfer(db, writer),
    upkeep: new SqliteUpkeep(db, writer),
    onReady: (listener) => writer.onReady(listener),
    onLogEvents: (listener) => writer.onLogEvents(listener),
    close: () => (closed ??= close()),
  }
}

function own(db: Database): Ownership {
  try {
    return new Ownership(db.path)
  } catch (error) {
    db.close()
    throw error
  }
}
