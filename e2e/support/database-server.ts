import { Ferretdb, INSTALL as INSTALL_GO, missingForFerretdb } from '../../packages/server/test/drivers/ferretdb.ts'
import { hasMariadb, INSTALL as INSTALL_MARIADB, MysqlServer } from '../../packages/server/test/drivers/mysql-server.ts'
import {
  findPostgres,
  INSTALL as INSTALL_POSTGRES,
  PostgresServer,
} from '../../packages/server/test/drivers/postgres-server.ts'

/** A database server of a test's own, which may do to it what it likes. */
export interface DatabaseServer extends AsyncDisposable {
  /** For `--database-url`. */
  readonly url: string
  /** Makes another empty database of the server. @returns its URL. */
  fresh(): Promise<string>
  start(): Promise<void>
  /** Ends all connections and stops in order. */
  stop(): Promise<void>
  /** Stops as if the power were cut: what was committed is recovered at the next start. */
  kill(): Promise<void>
  /** Not an instruction of it runs until `resume()`, and its connections stay open. */
  freeze(): void
  resume(): void
}

export interface Beginning {
  /** Whether it syncs what it commits, as it does if this is left out; else that outlives its processes, and no loss of power. */
  readonly synced?: boolean
}

/** A product that several Octoflow servers can share. */
export interface DatabaseKind {
  readonly name: string
  /** The command that provides it; `null` where it is installed. */
  readonly install: string | null
  /** Begins one on an empty database. */
  begin(options?: Beginning): Promise<DatabaseServer>
}

export const DATABASES = {
  postgres: {
    name: 'PostgreSQL',
    install: findPostgres() === null ? INSTALL_POSTGRES : null,
    begin: beginPostgres,
  },
  mariadb: { name: 'MariaDB', install: hasMariadb() ? null : INSTALL_MARIADB, begin: beginMariadb },
  // Speaks MongoDB's protocol, and can be built where MongoDB itself is not to be had.
  mongodb: { name: 'FerretDB', install: (await missingForFerretdb()) === null ? null : INSTALL_GO, begin: beginFerretdb },
} as const satisfies Readonly<Record<string, DatabaseKind>>

export type DatabaseName = keyof typeof DATABASES

async function beginPostgres({ synced = true }: Beginning = {}): Promise<DatabaseServer> {
  const settings = ['shared_buffers=64MB', ...(synced ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'])]
  const server = await PostgresServer.start({ settings })
  let schemas = 0
  return withDatabases(server, server.url, async () => `${server.url}?schema=octoflow_${++schemas}`)
}

async function beginMariadb({ synced = true }: Beginning = {}): Promise<DatabaseServer> {
  const server = await MysqlServer.start({ settings: synced ? [] : ['--innodb-flush-method=nosync', '--innodb-doublewrite=0'] })
  let databases = 0
  const fresh = async (): Promise<string> => {
    const name = `octoflow_${++databases}`
    await server.query(`CREATE DATABASE ${name}`)
    return server.url(name)
  }
  return withDatabases(server, await fresh(), fresh)
}

async function beginFerretdb({ synced = true }: Beginning = {}): Promise<DatabaseServer> {
  const server = await Ferretdb.start({ onDisk: synced })
  let databases = 0
  return withDatabases(server, `${server.url}octoflow`, async () => `${server.url}octoflow_${++databases}`)
}

const withDatabases = (
  server: Omit<DatabaseServer, 'url' | 'fresh'>,
  url: string,
  fresh: () => Promise<string>,
): DatabaseServer => ({
  url,
  fresh,
  start: () => server.start(),
  stop: () => server.stop(),
  kill: () => server.kill(),
  freeze: () => server.freeze(),
  resume: () => server.resume(),
  [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
})
