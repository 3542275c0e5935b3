import type { Storage, StorageCapabilities } from '../../contract/storage.ts'
import { SqlEvents } from '../../sql/events.ts'
import { SqlJobs } from '../../sql/jobs.ts'
import { SqlRequests } from '../../sql/requests.ts'
import { PostgresAccess } from './access.ts'
import { Database } from './database.ts'
import { eventStatements } from './events.ts'
import { PostgresIdempotency } from './idempotency.ts'
import { jobStatements } from './jobs.ts'
import { PostgresLeader } from './leader.ts'
import { PostgresLeases } from './leases.ts'
import { PostgresLogEvents } from './log-events.ts'
import { PostgresMigrations } from './migrations.ts'
import { PostgresOperations } from './operations.ts'
import { PostgresQueues } from './queues.ts'
import { requestStatements } from './requests.ts'
import { PostgresResults } from './results.ts'
import { Signals } from './signals.ts'
import { PostgresStats } from './stats.ts'
import { PostgresTransfer } from './transfer.ts'
import { PostgresUpkeep } from './upkeep.ts'
import { parseUrl } from './url.ts'
import { PostgresWorkers } from './workers.ts'
import { Writer } from './writer.ts'

const CAPABILITIES: StorageCapabilities = { signals: 'all-servers', shared: true }

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with the parameters that `parseUrl` knows. */
  readonly url: string
  /** The connections of this server are shown under this name in `pg_stat_activity`. */
  readonly applicationName?: string
  /** Told of trouble that concerns no call, such as lost signals. */
  readonly onError: (message: string) => void
}

const STATEMENT_TIMEOUT_MS = 30_000
const LOCK_TIMEOUT_MS = 10_000

/** A PostgreSQL database, which any number of servers may share. Nothing is connected before the first call. */
export function openPostgres({ url, applicationName = 'octoflow', onError }: PostgresOptions): Storage {
  const { client, schema, poolSize } = parseUrl(url)
  const options = {
    client: { ...client, application_name: applicationName },
    schema,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
  }
  const db = new Database(options, poolSize)
  const signals = new Signals(db, onError)
  const writer = new Writer(db, signals)
  let closed: Promise<void> | null = null
  const close = async (): Promise<void> => {
    await db.close()
    await signals.close()
  }
  return {
    capabilities: CAPABILITIES,
    migrations: new PostgresMigrations(db),
    requests: new SqlRequests(db, writer, requestStatements),
    jobs: new SqlJobs(db, writer, jobStatements),
    leases: new PostgresLeases(db, writer),
    events: new SqlEvents(db, writer, eventStatements),
    results: new PostgresResults(db),
    queues: new PostgresQueues(db, writer),
    workers: new PostgresWorkers(db, writer),
    operations: new PostgresOperations(db, writer),
    stats: new PostgresStats(db),
    access: new PostgresAccess(db, writer),
    idempotency: new PostgresIdempotency(writer),
    leader: new PostgresLeader(writer),
    logEvents: new PostgresLogEvents(db, writer),
    transfer: new PostgresTransfer(db, writer),
    upkeep: new PostgresUpkeep(db, writer),
    onReady: (listener) => signals.subscribe(listener),
    onLogEvents: (listener) => signals.subscribeToLogEvents(listener),
    close: () => (closed ??= close()),
  }
}
