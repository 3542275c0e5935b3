import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Config } from '../../config/compile.ts'
import { maskCredentials } from '../../config/credentials.ts'
import { type Database as DatabaseAddress, MEMORY } from '../../config/database-url.ts'
import { SKEW_HINT, SKEWED, skewMessage } from '../../core/maintenance/clock-watch.ts'
import { isOctoflowError, OctoflowError } from '../../errors/octoflow-error.ts'
import { SystemClock } from '../../lib/clock.ts'
import { humanDuration, MILLISECOND, MINUTE } from '../../lib/time.ts'
import { openStorage } from '../../open-storage.ts'
import type { Storage } from '../../storage/contract/storage.ts'
import { Database } from '../../storage/drivers/sqlite/database.ts'
import { SqliteMigrations } from '../../storage/drivers/sqlite/migrations.ts'
import { bytes } from '../output/format.ts'
import { existing, whyUnwritable } from './data-directory.ts'
import { type Finding, ok, problem, reasonOf, warning } from './finding.ts'

const CHECK = 'database'

/** The checkpointer keeps the log far below this. */
const LOG_LARGE = 256 * 1024 ** 2

/** Looks into the database without writing to it, beside a server that uses it too. */
export async function checkDatabase({ database }: Config): Promise<readonly Finding[]> {
  const { driver, url } = database
  if (driver !== 'sqlite') return inspectRemote(database)
  if (url === MEMORY)
    return [warning(CHECK, 'is in memory: nothing outlives the server.', 'Leave --database-url out, or name a file with it.')]
  try {
    const file = existing(url)
    if (file === null) return [missing(url)]
    if (!file.isFile()) throw new Error('it is not a file')
    return [await inspect(url), ...sizes(url, file.size), ...writtenInFuture(url)]
  } catch (error) {
    return [unreadable(url, error)]
  }
}

function missing(path: string): Finding {
  const reason = whyUnwritable(dirname(path))
  if (reason === null) return ok(CHECK, `${path} (made at the first start)`)
  return problem(CHECK, `${path} cannot be made: ${reason}.`, 'Make its directory one that the server can write to.')
}

async function inspect(path: string): Promise<Finding> {
  using connection = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
  const number = (sql: string): number => Number(Object.values(connection.prepare(sql).get()!)[0])
  const own = await knownToUs()
  const id = number('PRAGMA application_id')
  const tables = number('SELECT count(*) FROM sqlite_schema')
  if (id === 0 && tables === 0) return ok(CHECK, `${path} is empty; it is filled at the first start`)
  if (id !== own.applicationId)
    return ofError(new OctoflowError('not_a_database', { path, reason: 'it holds another program’s tables' }))
  const version = number('PRAGMA user_version')
  if (version > own.version) return ofError(new OctoflowError('schema_newer', { found: version, known: own.version }))
  const faults = connection
    .prepare('PRAGMA quick_check(3)')
    .all()
    .map((row) => String(Object.values(row)[0]))
  if (faults.join() !== 'ok') return ofError(new OctoflowError('storage_corrupt', { reason: faults.join('; ') }))
  const migrates = version < own.version ? `, migrated to ${own.version} at the next start` : ''
  return ok(CHECK, `${path}, sound, schema version ${version}${migrates}`)
}

async function inspectRemote(database: DatabaseAddress): Promise<readonly Finding[]> {
  const shown = maskCredentials(database.url)
  try {
    const storage = await openStorage(database, { exclusive: false, onError: () => {} })
    try {
      return [await inspectSchema(storage, shown), ...(await skewed(storage))]
    } finally {
      await storage.close()
    }
  } catch (error) {
    if (!isOctoflowError(error)) throw error
    const cause = error.cause instanceof Error ? ` (${error.cause.message})` : ''
    return [problem(CHECK, `${shown}: ${error.message}${cause}`, error.hint)]
  }
}

async function inspectSchema({ migrations, upkeep }: Storage, shown: string): Promise<Finding> {
  const { version, latest } = await migrations.status()
  if (version === 0) return ok(CHECK, `${shown} has no tables of Octoflow; they are made at the first start`)
  if (version > latest) return ofError(new OctoflowError('schema_newer', { found: version, known: latest }))
  if (version < latest) return ok(CHECK, `${shown}, schema version ${version}, migrated to ${latest} at the next start`)
  await upkeep.check()
  return ok(CHECK, `${shown}, reached and writable, schema version ${version}`)
}

/** Twice, since the first answer waited for what is done once. */
async function skewed({ upkeep }: Storage): Promise<readonly Finding[]> {
  const clock = new SystemClock()
  const begun = await upkeep.time().then(() => clock.elapsed())
  const read = await upkeep.time()
  if (read === null) return []
  const skew = clock.skewOf(read, clock.elapsed() - begun)
  return Math.abs(skew) > SKEWED ? [warning('clock', skewMessage(skew), SKEW_HINT)] : []
}

/** What a database of this version is marked with. */
async function knownToUs(): Promise<{ readonly applicationId: number; readonly version: number }> {
  const fresh = new Database(MEMORY)
  try {
    const { latest } = await new SqliteMigrations(fresh).status()
    return { applicationId: fresh.row<[number]>('PRAGMA application_id')![0], version: latest }
  } finally {
    fresh.close()
  }
}

function sizes(path: string, size: number): readonly Finding[] {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  const message = `${bytes(size)}, its write-ahead log ${bytes(log)}`
  if (log < LOG_LARGE) return [ok('database size', message)]
  const hint = 'A program that keeps the database open for reading holds the log back: end it, or restart the server.'
  return [warning('database size', `${message}: that is much.`, hint)]
}

function writtenInFuture(path: string): readonly Finding[] {
  const ahead = statSync(path).mtimeMs * MILLISECOND - Date.now() * MILLISECOND
  if (ahead < MINUTE) return []
  return [
    warning(
      'clock',
      `The database was written ${humanDuration(Math.round(ahead))} from now: the clock was set back since.`,
      'Set the clock right, and let it be kept by NTP; jobs due by the old clock wait until then.',
    ),
  ]
}

const ofError = (error: OctoflowError): Finding => problem(CHECK, error.message, error.hint)

/** SQLite's code for what is not in its format. */
const NOT_A_DATABASE = 26
const CORRUPT = 11

function unreadable(path: string, error: unknown): Finding {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : null
  if (code === NOT_A_DATABASE)
    return ofError(new OctoflowError('not_a_database', { path, reason: 'it is not in SQLite’s format' }))
  if (code === CORRUPT) return ofError(new OctoflowError('storage_corrupt', { reason: reasonOf(error) }))
  return problem(CHECK, `${path} cannot be read: ${reasonOf(error)}.`, 'Make it readable for the user that runs the server.')
}
