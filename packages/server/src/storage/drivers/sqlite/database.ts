import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { isBusy, isNotADatabase, mapError } from './errors.ts'
import { Inserts } from './inserts.ts'

/** "Octo" as SQLite's application id: tells an Octoflow database from any other program's. */
const APPLICATION_ID = 0x4f63746f

const PAGE_SIZE = 8_192

const BUSY_TIMEOUT_MS = 5_000

export type Value = SQLInputValue

/**
 * A connection with its prepared statements. Rows come as objects from `all` and `get`, as arrays from `rows` and `row`,
 * which is faster where there are many.
 * @throws `OctoflowError` for the conditions of a database: full, read-only, damaged, unreachable, closed.
 */
export class Database {
  readonly path: string
  readonly connection: DatabaseSync
  readonly #objects = new Map<string, StatementSync>()
  readonly #arrays = new Map<string, StatementSync>()
  /** By their columns, of which a table may be given several choices. */
  readonly #gathered = new Map<readonly string[], Inserts>()
  #gathering = false

  constructor(path: string) {
    this.path = path
    this.connection = open(path)
  }

  get inMemory(): boolean {
    return this.path === ':memory:'
  }

  /**
   * Inserts a row of a transaction, with others in one statement. It is there for whatever is asked of the database next;
   * what keeps it from being inserted may be thrown only then.
   * @param columns rows that give the same array go together.
   */
  insert(table: string, columns: readonly string[], ...row: Value[]): void {
    let inserts = this.#gathered.get(columns)
    if (inserts === undefined) {
      inserts = new Inserts(table, columns)
      this.#gathered.set(columns, inserts)
    }
    this.#gathering = true
    if (inserts.add(row)) this.#insert(inserts)
  }

  rollback(): void {
    for (const inserts of this.#gathered.values()) inserts.clear()
    this.#gathering = false
    // SQLite has rolled back by itself after some errors, a full disk among them.
    if (this.connection.isTransaction) this.run('ROLLBACK')
  }

  /** @returns how many rows were changed. */
  run(sql: string, ...values: Value[]): number {
    if (this.#gathering) this.#insertAll()
    try {
      return this.#statement(sql).run(...values).changes as number
    } catch (error) {
      throw mapError(error)
    }
  }

  get<Row>(sql: string, ...values: Value[]): Row | undefined {
    if (this.#gathering) this.#insertAll()
    try {
      return this.#statement(sql).get(...values) as Row | undefined
    } catch (error) {
      throw mapError(error)
    }
  }

  all<Row>(sql: string, ...values: Value[]): Row[] {
    if (this.#gathering) this.#insertAll()
    try {
      return this.#statement(sql).all(...values) as Row[]
    } catch (error) {
      throw mapError(error)
    }
  }

  /** One row after the other, read when it is asked for. No other statement of the same text may run meanwhile. */
  *iterate<Row>(sql: string, ...values: Value[]): Generator<Row, void, void> {
    if (this.#gathering) this.#insertAll()
    try {
      yield* this.#statement(sql).iterate(...values) as Iterable<Row>
    } catch (error) {
      throw mapError(error)
    }
  }

  row<Row extends readonly unknown[]>(sql: string, ...values: Value[]): Row | undefined {
    if (this.#gathering) this.#insertAll()
    try {
      return this.#arrayStatement(sql).get(...values) as unknown as Row | undefined
    } catch (error) {
      throw mapError(error)
    }
  }

  rows<Row extends readonly unknown[]>(sql: string, ...values: Value[]): Row[] {
    if (this.#gathering) this.#insertAll()
    try {
      return this.#arrayStatement(sql).all(...values) as unknown as Row[]
    } catch (error) {
      throw mapError(error)
    }
  }

  close(): void {
    this.#objects.clear()
    this.#arrays.clear()
    this.connection.close()
  }

  #insertAll(): void {
    this.#gathering = false
    for (const inserts of this.#gathered.values()) this.#insert(inserts)
  }

  #insert(inserts: Inserts): void {
    try {
      for (const [sql, values] of inserts.take()) this.#statement(sql).run(...values)
    } catch (error) {
      throw mapError(error)
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#objects.get(sql)
    if (statement === undefined) {
      statement = this.#prepare(sql)
      this.#objects.set(sql, statement)
    }
    return statement
  }

  #arrayStatement(sql: string): StatementSync {
    let statement = this.#arrays.get(sql)
    if (statement === undefined) {
      statement = this.#prepare(sql)
      statement.setReturnArrays(true)
      this.#arrays.set(sql, statement)
    }
    return statement
  }

  #prepare(sql: string): StatementSync {
    if (!this.connection.isOpen) throw new OctoflowError('storage_closed')
    return this.connection.prepare(sql)
  }
}

/** A statement on the rows with certain ids, in two forms: with one id it is twice as fast. */
export interface ById {
  readonly one: string
  readonly many: string
}

/** @param statement takes the condition, which has the last value to bind. */
export const byId = (statement: (condition: string) => string): ById => ({
  one: statement('id = ?'),
  many: statement('id IN (SELECT value FROM json_each(?))'),
})

/** Which form to use for ids, and what to bind. */
export const forIds = ({ one, many }: ById, ids: readonly number[]): readonly [sql: string, ids: Value] =>
  ids.length === 1 ? [one, ids[0]!] : [many, `[${ids.join()}]`]

function open(path: string): DatabaseSync {
  if (path !== ':memory:') prepareFile(path)
  try {
    const connection = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: false })
    try {
      patiently(() => configure(connection, path))
    } catch (error) {
      connection.close()
      throw error
    }
    return connection
  } catch (error) {
    if (isNotADatabase(error))
      throw new OctoflowError('not_a_database', { path, reason: 'it is not in SQLite’s format' }, { cause: error })
    const mapped = mapError(error)
    throw mapped instanceof OctoflowError && mapped.code === 'storage_unavailable'
      ? new OctoflowError(
          'data_directory_unusable',
          { path: dirname(path), reason: (error as Error).message },
          { cause: error },
        )
      : mapped
  }
}

const PAUSE_MS = 10
const paused = new Int32Array(new SharedArrayBuffer(4))

/**
 * Does again what met the lock of another process. SQLite itself waits for most locks, but not for those that a switch of
 * the journal mode needs: of twenty processes that open a new file at once, now and then one was refused at once.
 */
function patiently(step: () => void): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS
  while (true) {
    try {
      step()
      return
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error
      Atomics.wait(paused, 0, 0, PAUSE_MS)
    }
  }
}

function configure(connection: DatabaseSync, path: string): void {
  claimFile(connection, path)
  // Durable at every commit, also against loss of power; readers never wait for the writer.
  connection.exec('PRAGMA journal_mode = WAL')
  connection.exec('PRAGMA synchronous = FULL')
  // The checkpointer decides when pages move from the log to the file.
  connection.exec('PRAGMA wal_autocheckpoint = 0')
  connection.exec('PRAGMA cache_size = -16000')
  connection.exec('PRAGMA temp_store = MEMORY')
}

/** Refuses a file that another program made, before anything is written to it. */
function claimFile(connection: DatabaseSync, path: string): void {
  // One statement, so that both are seen as of one moment while other processes may be creating the file.
  const { id, tables } = connection
    .prepare('SELECT application_id AS id, (SELECT count(*) FROM sqlite_schema) AS tables FROM pragma_application_id')
    .get() as { id: number; tables: number }
  if (id === APPLICATION_ID) return
  if (id !== 0 || tables > 0) throw new OctoflowError('not_a_database', { path, reason: 'it holds another program’s tables' })
  // Half as many pages to write for each commit as with SQLite's 4 KiB; a capture costs 4% less.
  connection.exec(`PRAGMA page_size = ${PAGE_SIZE}`)
  connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
}

/** Payloads and keys' hashes are nobody else's to read. SQLite gives its log the same permissions as the database. */
function prepareFile(path: string): void {
  prepareDirectory(dirname(path))
  if (existsSync(path)) return
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch {
    // SQLite is about to meet the same obstacle, and its error is told.
  }
}

function prepareDirectory(directory: string): void {
  try {
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === false) throw new Error('it is not a directory')
    mkdirSync(directory, { recursive: true })
    accessSync(directory, constants.W_OK)
  } catch (error) {
    throw new OctoflowError('data_directory_unusable', { path: directory, reason: (error as Error).message }, { cause: error })
  }
}
