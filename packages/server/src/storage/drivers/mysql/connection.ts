import type { Connection as Client, ConnectionOptions as ClientOptions, ResultSetHeader } from 'mysql2'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { withinDeadline } from '../../sql/deadline.ts'
import { isLost, mapError } from './errors.ts'
import { checkServer, type Server, settings } from './server.ts'
import { format, type Value } from './values.ts'

/** What answers queries: the pool, or a transaction. Rows come as arrays, columns in order. */
export interface Queryable {
  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]>
}

/** What a statement did that gives no rows. */
export interface Written {
  /** The first of the ids that the server made; those of the other rows follow it. */
  readonly insertId: number
  readonly affectedRows: number
}

export interface ConnectionOptions {
  readonly client: ClientOptions
  readonly lockTimeoutSeconds: number
  readonly statementTimeoutSeconds: number
  /** Told what is to be known of the server, when a connection is opened. */
  readonly onServer: (server: Server) => void
}

const CONNECT_TIMEOUT_MS = 5_000
const GOODBYE_MS = 1_000

/** Slots are tried in order, so the most there may be of them is what is tried in vain. */
const SLOTS_AT_MOST = 4_096

/** Statements travel together up to so many characters, which is less than the server takes; see `checkServer`. */
const PACKET_CHARACTERS = 1_000_000

/** What a packet has besides its statements. */
const PACKET_OVERHEAD = 64

type Result = readonly (readonly unknown[])[] | ResultSetHeader

interface Statement {
  readonly text: string
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * A connection. What is asked of it in one turn travels in one packet, since each packet costs a round trip; the server
 * carries the statements out in order and stops at the first that fails. From then on nothing more is sent before
 * `recover`: after a deadlock the server has ended the transaction, and what came next would be committed by itself.
 */
export class Connection implements Queryable {
  readonly server: Server
  /** The number of this connection among all that use the database: nobody else adds to its rows of counts. */
  readonly slot: number
  readonly #client: Client
  #statements: Statement[] = []
  #scheduled = false
  /** Settled when everything that was sent is answered; rejected once something failed. */
  #answered: Promise<unknown> = Promise.resolve()
  #lost = false

  private constructor(client: Client, server: Server, slot: number) {
    this.#client = client
    this.server = server
    this.slot = slot
    client.on('error', () => {
      this.#lost = true
    })
  }

  /** @throws `storage_unavailable`, `database_refused` */
  static async open({ client: config, onServer, ...timeouts }: ConnectionOptions): Promise<Connection> {
    const { createConnection } = await import('mysql2')
    const client = createConnection({ connectTimeout: CONNECT_TIMEOUT_MS, ...config, ...PROTOCOL })
    try {
      const { server, slot } = await withinDeadline(CONNECT_TIMEOUT_MS, connect(client, timeouts), () => cut(client))
      onServer(server)
      return new Connection(client, server, slot)
    } catch (error) {
      client.on('error', () => {})
      cut(client)
      throw mapError(error)
    }
  }

  get lost(): boolean {
    return this.#lost
  }

  async rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return (await this.#ask(sql, values)) as unknown as Row[]
  }

  async execute(sql: string, ...values: readonly Value[]): Promise<Written> {
    return (await this.#ask(sql, values)) as ResultSetHeader
  }

  /** Adds a statement to those that travel with the next one that is waited for. */
  send(sql: string, ...values: readonly Value[]): void {
    void this.#add(sql, values)
  }

  /** The rows of a statement that is sent like that. */
  async later<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return (await this.#add(sql, values)) as unknown as Row[]
  }

  /** From here on no statement is interrupted for the time that it takes. */
  async mayTakeLong(): Promise<void> {
    if (this.server.mariadb) await this.execute('SET SESSION max_statement_time = 0')
  }

  /** Rolls back whatever is under way, and is there for other work. */
  async recover(): Promise<void> {
    for (const { reject } of this.#statements.splice(0)) reject(new OctoflowError('storage_unavailable'))
    await this.#answered.catch(() => {})
    this.#answered = Promise.resolve()
    await this.#ask('ROLLBACK', [])
  }

  async close(): Promise<void> {
    if (this.#lost) return this.#client.destroy()
    const ended = new Promise<void>((resolve) => this.#client.end(() => resolve()))
    await withinDeadline(GOODBYE_MS, ended, () => cut(this.#client)).catch(() => {})
  }

  /** Ends it at once, whatever it is doing; what it had not committed is rolled back. */
  destroy(): void {
    this.#lost = true
    cut(this.#client)
  }

  #ask(sql: string, values: readonly Value[]): Promise<Result> {
    if (!this.#scheduled) {
      this.#scheduled = true
      queueMicrotask(() => {
        this.#scheduled = false
        this.#flush()
      })
    }
    return this.#add(sql, values)
  }

  #add(sql: string, values: readonly Value[]): Promise<Result> {
    const text = format(sql, values)
    const answer = new Promise<Result>((resolve, reject) => this.#statements.push({ text, resolve, reject }))
    // Whoever does not wait for it learns of its failure from the statements that follow.
    answer.catch(() => {})
    return answer
  }

  #flush(): void {
    for (const packet of inPackets(this.#statements.splice(0))) {
      const sent = this.#answered.then(() => this.#send(packet))
      sent.catch((error: unknown) => {
        for (const { reject } of packet) reject(error)
      })
      this.#answered = sent
    }
  }

  async #send(packet: readonly Statement[]): Promise<void> {
    if (this.#lost) throw new OctoflowError('storage_unavailable')
    // The server would close the connection on it.
    if (packet.some(({ text }) => isTooLarge(text, this.server.packetBytes)))
      throw new OctoflowError('database_packet_too_large')
    try {
      const answer = await query(this.#client, packet.map(({ text }) => text).join(';'))
      const results = packet.length === 1 ? [answer as Result] : (answer as unknown as readonly Result[])
      for (const [index, { resolve }] of packet.entries()) resolve(results[index]!)
    } catch (error) {
      if (error instanceof Error && isLost(error)) this.#lost = true
      throw mapError(error)
    }
  }
}

/** How values travel: large numbers and sums as numbers, rows as arrays, several statements in a packet. */
const PROTOCOL: ClientOptions = {
  rowsAsArray: true,
  supportBigNumbers: true,
  decimalNumbers: true,
  dateStrings: true,
  multipleStatements: true,
  enableKeepAlive: true,
}

async function connect(
  client: Client,
  timeouts: Omit<ConnectionOptions, 'client' | 'onServer'>,
): Promise<{ readonly server: Server; readonly slot: number }> {
  await connected(client)
  const server = checkServer((await query(client, SELECT_SERVER)) as unknown as [readonly unknown[]])
  await query(client, settings(server, timeouts))
  return { server, slot: await takeSlot(client) }
}

/** With an error, so that the client tells all who wait; it takes its own `destroy()` for a farewell in order, and tells nobody. */
function cut(client: Client): void {
  const { stream } = client as unknown as { readonly stream: { destroy(error: Error): void } }
  stream.destroy(Object.assign(new Error('the connection was given up'), { code: 'PROTOCOL_CONNECTION_LOST' }))
}

const connected = (client: Client): Promise<void> =>
  new Promise((resolve, reject) => client.connect((error) => (error === null ? resolve() : reject(error))))

const query = (client: Client, sql: string): Promise<unknown> =>
  new Promise((resolve, reject) => client.query(sql, (error, result) => (error === null ? resolve(result) : reject(error))))

/** No character of UTF-16 has more than three bytes of UTF-8. */
const isTooLarge = (text: string, bytes: number): boolean =>
  text.length * 3 >= bytes && Buffer.byteLength(text) + PACKET_OVERHEAD > bytes

function inPackets(statements: readonly Statement[]): Statement[][] {
  const packets: Statement[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const statement of statements) {
    size += statement.text.length
    if (size > PACKET_CHARACTERS) {
      packets.push([])
      size = statement.text.length
    }
    packets.at(-1)!.push(statement)
  }
  return packets
}

/** The lock lasts as long as the connection. */
async function takeSlot(client: Client): Promise<number> {
  for (let slot = 0; slot < SLOTS_AT_MOST; slot++) {
    const [[taken]] = (await query(client, format(TAKE_SLOT, [slot]))) as unknown as [[number]]
    if (taken === 1) return slot
  }
  throw new OctoflowError('storage_unavailable')
}

const SELECT_SERVER = `SELECT @@version, @@version_comment, @@innodb_flush_log_at_trx_commit, @@max_allowed_packet`

const TAKE_SLOT = `SELECT GET_LOCK(CONCAT('octoflow ', MD5(DATABASE()), ' ', ?), 0)`
