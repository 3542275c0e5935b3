import type { Client, ClientConfig } from 'pg'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { withinDeadline } from '../../sql/deadline.ts'
import { mapError } from './errors.ts'
import { defineStatement, type StatementClass } from './statement.ts'
import { decodeText, encodeText } from './values.ts'

export type Value = string | number | boolean | null

/** What answers queries: the pool, or a transaction. Rows come as arrays, columns in order. */
export interface Queryable {
  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]>
}

export interface ConnectionOptions {
  readonly client: ClientConfig
  readonly schema: string
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
}

const CONNECT_TIMEOUT_MS = 5_000
const GOODBYE_MS = 1_000

/** Statements are prepared once for each connection, under a name made once for each text. */
const names = new Map<string, string>()

function nameOf(sql: string): string {
  let name = names.get(sql)
  if (name === undefined) {
    name = `octoflow_${names.size + 1}`
    names.set(sql, name)
  }
  return name
}

/** A connection with its prepared statements. Queries may be sent before those before them are answered. */
export class Connection implements Queryable {
  /** The number of this connection among all that use the schema: nobody else adds to its rows of counts. */
  readonly slot: number
  readonly #client: Client
  readonly #Statement: StatementClass
  #lost: Error | null = null

  private constructor(client: Client, Statement: StatementClass, slot: number, lost: { error: Error | null }) {
    this.#client = client
    this.#Statement = Statement
    this.slot = slot
    this.#lost = lost.error
    client.on('error', (error) => {
      this.#lost ??= error
    })
  }

  /** @throws `storage_unavailable`, `database_refused` */
  static async open({ client: config, schema, ...timeouts }: ConnectionOptions): Promise<Connection> {
    const { Client, Query } = (await import('pg')).default
    const client = clientOf(Client, config)
    const lost: { error: Error | null } = { error: null }
    client.on('error', (error) => {
      lost.error ??= error
    })
    try {
      const slot = await withinDeadline(CONNECT_TIMEOUT_MS, connect(client, schema, timeouts), () => cut(client))
      return new Connection(client, defineStatement(Query), slot, lost)
    } catch (error) {
      client.end().catch(() => {})
      throw mapError(error)
    }
  }

  get lost(): boolean {
    return this.#lost !== null
  }

  get processId(): number {
    return (this.#client as unknown as { readonly processID: number }).processID
  }

  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    const bound = values.map((value) => (typeof value === 'string' ? encodeText(value) : value))
    return new Promise((resolve, reject) => {
      const statement = new this.#Statement(nameOf(sql), sql, bound, (error, rows) => {
        if (error === null) resolve(rows as unknown as Row[])
        else reject(mapError(error))
      })
      this.#client.query(statement)
    })
  }

  /** Runs a command without parameters, or several. @returns the tag of the last one. */
  command(sql: string): Promise<string> {
    return new Promise((resolve, reject) => {
      void this.#client.query(sql, (error, result) => {
        if (error) reject(mapError(error))
        else resolve(Array.isArray(result) ? (result.at(-1)?.command ?? '') : result.command)
      })
    })
  }

  onNotification(listener: (payload: string, processId: number) => void): void {
    this.#client.on('notification', ({ payload, processId }) => listener(decodeText(payload ?? ''), processId))
  }

  onLost(listener: (error: Error) => void): void {
    this.#client.on('error', listener)
  }

  async close(): Promise<void> {
    await withinDeadline(GOODBYE_MS, this.#client.end(), () => cut(this.#client)).catch(() => {})
  }

  /** Ends it at once, whatever it is doing; what it had not committed is rolled back. */
  destroy(): void {
    this.#lost ??= new OctoflowError('storage_closed')
    cut(this.#client)
  }
}

/** @returns the connection's slot. */
async function connect(
  client: Client,
  schema: string,
  timeouts: Omit<ConnectionOptions, 'client' | 'schema'>,
): Promise<number> {
  await client.connect()
  await client.query(settings(schema, timeouts))
  const { rows } = await client.query<{ slot: number }>(TAKE_SLOT, [`octoflow/${schema}`])
  return rows[0]!.slot
}

function cut(client: Client): void {
  const { connection } = client as unknown as { readonly connection: { readonly stream: { destroy(): void } } }
  connection.stream.destroy()
}

/** What the client cannot make sense of, a certificate that is not there for instance, is told as it says it. */
function clientOf(ClientClass: typeof Client, config: ClientConfig): Client {
  try {
    return new ClientClass({ connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, ...config, pipeline: true })
  } catch (error) {
    throw new OctoflowError('database_refused', { reason: (error as Error).message }, { cause: error })
  }
}

const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

/**
 * Every query of this driver is served by an index, but a plan made while the tables were empty, or before their statistics
 * were gathered, does not know that: it scans. With scans and joins other than by index ruled out there is one plan, good
 * for any size, so it is made once.
 */
const settings = (
  schema: string,
  { statementTimeoutMs, lockTimeoutMs }: Omit<ConnectionOptions, 'client' | 'schema'>,
): string => `
  SET search_path = ${quoteName(schema)};
  SET plan_cache_mode = force_generic_plan;
  SET enable_seqscan = off;
  SET enable_hashjoin = off;
  SET enable_mergejoin = off;
  SET enable_bitmapscan = off;
  SET jit = off;
  SET default_transaction_isolation = 'read committed';
  SET statement_timeout = ${statementTimeoutMs};
  SET lock_timeout = ${lockTimeoutMs};
  SET idle_in_transaction_session_timeout = ${statementTimeoutMs};
  SET client_min_messages = warning;
  SET TimeZone = 'UTC'`

/** The lock lasts as long as the connection. */
const TAKE_SLOT = `SELECT slot FROM generate_series(0, 8191) AS slot WHERE pg_try_advisory_lock(hashtext($1), slot) LIMIT 1`
