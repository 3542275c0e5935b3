import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where Debian and Ubuntu keep the programs of each version; the newest last. */
const DEBIAN = '/usr/lib/postgresql/*/bin'

/** The command that provides what is missing. */
export const INSTALL = 'apt-get install postgresql'

/** The directory of PostgreSQL's programs; `null` where it is not installed. */
export function findPostgres(): string | null {
  const found = globSync(DEBIAN).sort((a, b) => versionOf(a) - versionOf(b))
  return found.findLast((directory) => existsSync(join(directory, 'initdb'))) ?? null
}

const versionOf = (directory: string): number => Number(directory.split('/').at(-2))

/**
 * A PostgreSQL server of its own in a temporary directory, reached by a socket and by a port of the loopback interface, gone
 * when disposed of. It refuses to be run by root, so where the tests are, it is run by another user.
 */
export class PostgresServer {
  readonly #bin: string
  readonly #directory: string
  readonly #user: User | null
  readonly #settings: readonly string[]
  readonly port: number
  #process: ChildProcess | null = null

  private constructor(bin: string, port: number, settings: readonly string[]) {
    this.#bin = bin
    this.port = port
    this.#settings = settings
    this.#user = process.getuid?.() === 0 ? unprivilegedUser() : null
    this.#directory = mkdtempSync(join(tmpdir(), 'octoflow-postgres-'))
    if (this.#user !== null) chownSync(this.#directory, this.#user.uid, this.#user.gid)
  }

  /** @param settings as on the command line: `fsync=off`. */
  static async start({ settings = [] }: { readonly settings?: readonly string[] } = {}): Promise<PostgresServer> {
    const bin = findPostgres()
    if (bin === null) throw new Error(`PostgreSQL is not installed: ${INSTALL}`)
    const server = new PostgresServer(bin, await freePort(), settings)
    server.#initialize()
    await server.start()
    return server
  }

  /** Its database, for its superuser. */
  get url(): string {
    return `postgres://octoflow@127.0.0.1:${this.port}/postgres`
  }

  async start(): Promise<void> {
    const settings = [`port=${this.port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${this.#directory}`]
    const args = [...settings, ...this.#settings].flatMap((setting) => ['-c', setting])
    const child = spawn(join(this.#bin, 'postgres'), ['-D', this.#data, ...args], {
      ...this.#user,
      cwd: this.#directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    await new Promise<void>((resolve, reject) => {
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => {
        if (said === READY) return
        said += chunk.toString()
        if (!said.includes(READY)) return
        said = READY
        resolve()
      })
      child.once('exit', () => reject(new Error(`PostgreSQL did not start: ${said}`)))
    })
    child.unref()
    ;(child.stderr as unknown as { unref(): void }).unref()
  }

  /** Stops as if the power were cut: nothing is finished, what was committed is recovered at the next start. */
  kill(): Promise<void> {
    return this.#end('SIGQUIT')
  }

  /** Ends all connections and stops in order. */
  stop(): Promise<void> {
    return this.#end('SIGINT')
  }

  /** Not an instruction of it runs until `resume()`, and its connections stay open. */
  freeze(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  /** Runs a query of a test's own, apart from the driver. @returns rows of texts. */
  query(sql: string, schema = 'public'): Promise<(string | null)[][]> {
    return query(this.url, sql, schema)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  get #data(): string {
    return join(this.#directory, 'data')
  }

  #initialize(): void {
    const args = ['-D', this.#data, '-U', 'octoflow', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    execFileSync(join(this.#bin, 'initdb'), args, { ...this.#user, cwd: this.#directory, stdio: 'ignore' })
    writeFileSync(join(this.#data, 'pg_hba.conf'), 'local all all trust\nhost all all 127.0.0.1/32 trust\n')
  }

  /** To the server and its children, one for each connection. */
  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#process!
    process.kill(pid!, signal)
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    for (const child of children === '' ? [] : children.split(' ')) process.kill(Number(child), signal)
  }

  #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.ref()
      child.kill(signal)
    })
  }
}

export async function query(connectionString: string, sql: string, schema: string): Promise<(string | null)[][]> {
  await using session = await openSession(connectionString, schema)
  return await session.query(sql)
}

/** A connection of a test's own, which keeps its locks until it is disposed of. */
export interface Session extends AsyncDisposable {
  /** @returns rows of texts. */
  query(sql: string): Promise<(string | null)[][]>
}

export async function openSession(connectionString: string, schema: string): Promise<Session> {
  const { Client } = (await import('pg')).default
  const asText = (text: string): string => text
  const types = { getTypeParser: () => asText }
  const client = new Client({ connectionString, options: `-c search_path=${schema}`, types })
  // A connection that is cut is told by the query.
  client.on('error', () => {})
  await client.connect()
  return {
    query: async (sql) => (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows,
    [Symbol.asyncDispose]: () => client.end().catch(() => {}),
  }
}

const READY = 'database system is ready to accept connections'

interface User {
  readonly uid: number
  readonly gid: number
}

/** Whom Debian's package made for it, else nobody. */
function unprivilegedUser(): User {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const wanted of ['postgres', 'nobody']) {
    const found = users.find(([name]) => name === wanted)
    if (found !== undefined) return { uid: Number(found[2]), gid: Number(found[3]) }
  }
  throw new Error('PostgreSQL cannot be run by root, and there is no user postgres or nobody')
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
