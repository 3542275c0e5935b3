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
  start(): Promise<void>
  /** Ends all connections and stops in order. */
  stop(): Promise<void>
  /** Stops as if the power were cut: what was committed is recovered at the next start. */
  kill(): Promise<void>
  /** Not an instruction of it runs until `resume()`, and its connections stay open. */
  freeze(): void
  resume(): void
}

/** A product that several Octoflow servers can share. */
export interface DatabaseKind {
  readonly name: string
  /** The command that provides it; `null` where it is installed. */
  readonly install: string | null
  /** Begins one on an empty database that syncs what it commits. */
  begin(): Promise<DatabaseServer>
}

export const DATABASES = {
  postgres: {
    name: 'PostgreSQL',
    install: findPostgres() === null ? INSTALL_POSTGRES : null,
    begin: () => PostgresServer.start({ settings: ['shared_buffers=64MB'] }),
  },
  mariadb: { name: 'MariaDB', install: hasMariadb() ? null : INSTALL_MARIADB, begin: beginMariadb },
  // Speaks MongoDB's protocol, and can be built where MongoDB itself is not to be had.
  mongodb: { name: 'FerretDB', install: (await missingForFerretdb()) === null ? null : INSTALL_GO, begin: beginFerretdb },
} as const satisfies Readonly<Record<string, DatabaseKind>>

export type DatabaseName = keyof typeof DATABASES

async function beginMariadb(): Promise<DatabaseServer> {
  const server = await MysqlServer.start()
  await server.query('CREATE DATABASE octoflow')
  return {
    url: server.url('octoflow'),
    start: () => server.start(),
    stop: () => server.stop(),
    kill: () => server.kill(),
    freeze: () => server.freeze(),
    resume: () => server.resume(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function beginFerretdb(): Promise<DatabaseServer> {
  const server = await Ferretdb.start({ onDisk: true })
  return {
    url: `${server.url}octoflow`,
    start: () => server.start(),
    stop: () => server.stop(),
    kill: () => server.kill(),
    freeze: () => server.freeze(),
    resume: () => server.resume(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
