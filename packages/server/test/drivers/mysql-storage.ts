import { after, before } from 'node:test'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openMysql } from '../../src/storage/drivers/mysql/index.ts'
import type { TestStorage } from '../conformance/harness.ts'
import { hasMariadb, INSTALL, MysqlServer } from './mysql-server.ts'

/** Why the tests of this file are skipped, if they are. Where everything is to be there, they fail instead. */
export const SKIPPED = hasMariadb() || process.env.CI !== undefined ? false : `MariaDB is not installed: ${INSTALL}`

let shared: MysqlServer | null = null
let databases = 0

/** Nothing of these databases outlives the tests, so nothing waits for the disk. */
const FAST = ['--innodb-flush-method=nosync', '--innodb-doublewrite=0', '--max-connections=500']

/** Starts the server that all tests of a file share. */
export function shareServer(): void {
  if (SKIPPED !== false) return
  before(async () => {
    shared = await MysqlServer.start({ settings: FAST })
  })
  after(() => shared?.[Symbol.asyncDispose]())
}

/** Trouble that no call is told of fails the test by an exception that nobody catches. */
function onError(message: string): void {
  throw new Error(`the driver reports: ${message}`)
}

export const openAt = (url: string): Storage => openMysql({ url, onError })

/** A database of its own in the shared server. */
export async function openDatabase(): Promise<TestStorage & { readonly url: string; readonly query: MysqlServer['query'] }> {
  const server = shared
  if (server === null) throw new Error('shareServer() was not called')
  const name = `test_${++databases}`
  await server.query(`CREATE DATABASE ${name}`)
  const url = server.url(name, '&pool_size=4')
  const storage = openAt(url)
  const opened = [storage]
  const openMore = async (): Promise<Storage> => {
    const more = openAt(url)
    opened.push(more)
    return more
  }
  return {
    url,
    query: (sql) => server.query(sql, name),
    storage,
    peer: openMore,
    whileHeld: (id, act) =>
      server.session(async (query) => {
        await query('BEGIN')
        await query(`SELECT id FROM octoflow_requests WHERE id = ${id} FOR UPDATE`)
        await act()
      }, name),
    async reopen() {
      await storage.close()
      return openMore()
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((handle) => handle.close()))
      await server.query(`DROP DATABASE ${name}`)
    },
  }
}
