import type { Storage, StorageCapabilities } from '../../contract/storage.ts'
import { SqlEvents } from '../../sql/events.ts'
import { SqlJobs } from '../../sql/jobs.ts'
import { SqlRequests } from '../../sql/requests.ts'
import { MysqlAccess } from './access.ts'
import { Database } from './database.ts'
import { eventStatements } from './events.ts'
import { MysqlIdempotency } from './idempotency.ts'
import { jobStatements } from './jobs.ts'
import { MysqlLeader } from './leader.ts'
import { MysqlLeases } from './leases.ts'
import { MysqlLogEvents } from './log-events.ts'
import { MysqlMigrations } from './migrations.ts'
import { MysqlOperations } from './operations.ts'
import { MysqlQueues } from './queues.ts'
import { requestStatements } from './requests.ts'
import { MysqlResults } from './results.ts'
import type { Server } from './server.ts'
import { Signals } from './signals.ts'
import { MysqlStats } from './stats.ts'
import { MysqlTransfer } from './transfer.ts'
import { MysqlUpkeep } from './upkeep.ts'
import { parseUrl } from './url.ts'
import { MysqlWorkers } from './workers.ts'
import { Writer } from './writer.ts'

/** A server learns of its own commits only. */
const CAPABILITIES: StorageCapabilities = { signals: 'none', shared: true }

export interface MysqlOptions {
  /** `mysql://user:password@host:port/database`, with the parameters that `parseUrl` knows. */
  readonly url: string
  /** Told of trouble that concerns no call, such as a server that acknowledges before it has written. */
  readonly onError: (message: string) => void
}

const STATEMENT_TIMEOUT_SECONDS = 30
const LOCK_TIMEOUT_SECONDS = 10

/** A MySQL or MariaDB database, which any number of servers may share. Nothing is connected before the first call. */
export function openMysql({ url, onError }: MysqlOptions): Storage {
  const { client, poolSize } = parseUrl(url)
  let warned = false
  const onServer = ({ durable }: Server): void => {
    if (durable || warned) return
    warned = true
    onError(NOT_DURABLE)
  }
  const timeouts = { lockTimeoutSeconds: LOCK_TIMEOUT_SECONDS, statementTimeoutSeconds: STATEMENT_TIMEOUT_SECONDS }
  const db = new Database({ client, ...timeouts, onServer }, poolSize)
  const signals = new Signals()
  const writer = new Writer(db, signals)
  let closed: Promise<void> | null = null
  return {
    capabilities: CAPABILITIES,
    migrations: new MysqlMigrations(db),
    requests: new SqlRequests(db, writer, requestStatements),
    jobs: new SqlJobs(db, writer, jobStatements),
    leases: new MysqlLeases(db, writer),
    events: new SqlEvents(db, writer, eventStatements),
    results: new MysqlResults(db),
    queues: new MysqlQueues(db, writer),
    workers: new MysqlWorkers(db, writer),
    operations: new MysqlOperations(db, writer),
    stats: new MysqlStats(db),
    access: new MysqlAccess(db, writer),
    idempotency: new MysqlIdempotency(writer),
    leader: new MysqlLeader(writer),
    logEvents: new MysqlLogEvents(db, writer),
    transfer: new MysqlTransfer(db, writer),
    upkeep: new MysqlUpkeep(db, writer),
    onReady: (listener) => signals.subscribe(listener),
    onLogEvents: (listener) => signals.subscribeToLogEvents(listener),
    close: () => (closed ??= db.close()),
  }
}

const NOT_DURABLE =
  'The database server acknowledges commits before they are on disk: a crash of its machine loses about the last second of ' +
  'what was acknowledged. Set innodb_flush_log_at_trx_commit to 1.'
