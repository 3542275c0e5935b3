import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { fastDirectory } from './memory.ts'

/** Where Debian and Ubuntu keep the server, and the program that makes its first tables. */
const SERVER = '/usr/sbin/mariadbd'
const INITIALIZE = '/usr/bin/mariadb-install-db'

/** The command that provides what is missing. */
export const INSTALL = 'apt-get install mariadb-server'

export const hasMariadb = (): boolean => existsSync(SERVER) && existsSync(INITIALIZE)

/** Small, for it is made anew for each file of tests. */
const SIZES = ['--innodb-log-file-size=32M', '--innodb-buffer-pool-size=128M', '--innodb-data-file-path=ibdata1:4M:autoextend']

/**
 * A MariaDB server of its own in a temporary directory, reached by a socket, gone when disposed of. It refuses to be run by
 * root, so where the tests are, it is run by the user that its package made.
 */
export class MysqlServer {
  readonly #directory: string
  readonly #settings: readonly string[]
  #process: ChildProcess | null = null

  private constructor(settings: readonly string[], onDisk: boolean) {
    this.#settings = settings
    this.#directory = mkdtempSync(join(onDisk ? tmpdir() : fastDirectory(), 'octoflow-mysql-'))
    // For the other user on his way to the data.
    chmodSync(this.#directory, 0o777)
  }

  /**
   * @param settings as on the command line: `--innodb-flush-method=nosync`.
   * @param onDisk even where there is a disk in memory.
   */
  static async start({
    settings = [],
    onDisk = false,
  }: {
    readonly settings?: readonly string[]
    readonly onDisk?: boolean
  } = {}): Promise<MysqlServer> {
    if (!hasMariadb()) throw new Error(`MariaDB is not installed: ${INSTALL}`)
    const server = new MysqlServer(settings, onDisk)
    server.#initialize()
    await server.start()
    return server
  }

  get socket(): string {
    return join(this.#directory, 'socket')
  }

  /** A database of the server, for its superuser. */
  url(database: string, parameters = ''): string {
    return `mysql://root@localhost/${database}?unix_socket=${encodeURIComponent(this.socket)}${parameters}`
  }

  /** Carries out a statement, as one who is not Octoflow. @returns its rows, with times as texts. */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]> {
    return this.session((query) => query(sql), database)
  }

  /** Statements of one connection, which keeps its locks as long as it is used. */
  async session<Result>(
    use: (query: (sql: string) => Promise<Record<string, unknown>[]>) => Promise<Result>,
    database?: string,
  ): Promise<Result> {
    const options = { socketPath: this.socket, user: 'root', dateStrings: true, ...(database !== undefined && { database }) }
    const connection = await createConnection(options)
    try {
      return await use(async (sql) => {
        const [rows] = await connection.query(sql)
        return (Array.isArray(rows) ? rows : []) as Record<string, unknown>[]
      })
    } finally {
      await connection.end()
    }
  }

  async start(): Promise<void> {
    const args = [...this.#common, ...this.#settings, `--socket=${this.socket}`, '--skip-networking']
    const child = spawn(SERVER, args, { cwd: this.#directory, stdio: ['ignore', 'ignore', 'pipe'] })
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
      child.once('exit', () => reject(new Error(`MariaDB did not start: ${said}`)))
    })
    child.unref()
    ;(child.stderr as unknown as { unref(): void }).unref()
  }

  /** Stops as if the power were cut: nothing is finished, what was committed is recovered at the next start. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** Ends all connections and stops in order. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  /** Not an instruction of it runs until `resume()`, and its connections stay open. */
  freeze(): void {
    this.#process!.kill('SIGSTOP')
  }

  resume(): void {
    this.#process!.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  get #common(): string[] {
    const user = process.getuid?.() === 0 ? ['--user=mysql'] : []
    return ['--no-defaults', ...user, `--datadir=${join(this.#directory, 'data')}`, ...SIZES]
  }

  #initialize(): void {
    const args = [...this.#common, '--auth-root-authentication-method=normal', '--skip-test-db']
    execFileSync(INITIALIZE, args, { cwd: this.#directory, stdio: 'ignore' })
  }

  #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      child.ref()
      child.once('exit', () => resolve())
      child.kill(signal)
    })
  }
}

const READY = 'ready for connections'
