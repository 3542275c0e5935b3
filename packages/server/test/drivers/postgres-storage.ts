import { after, before } from 'node:test'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openPostgres } from '../../src/storage/drivers/postgres/index.ts'
import type { TestStorage } from '../conformance/harness.ts'
import { findPostgres, INSTALL, openSession, PostgresServer, type Session } from './postgres-server.ts'

const missing = findPostgres() === null

/** Why the tests of this file are skipped, if they are. Where everything is to be there, they fail instead. */
export const SKIPPED = missing && process.env.CI === undefined ? `PostgreSQL is not installed: ${INSTALL}` : false

let server: PostgresServer | null = null
let databases = 0

/** Nothing of these databases outlives the tests, so nothing waits for the disk. */
const FAST = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200', 'shared_buffers=64MB']

/** Starts the server that all tests of a file share. */
export function shareServer(): void {
  if (SKIPPED !== false) return
  before(async () => {
    server = await PostgresServer.start({ settings: FAST })
  })
  after(() => server?.[Symbol.asyncDispose]())
}

/** Trouble that no call is told of fails the test by an exception that nobody catches. */
function onError(message: string): void {
  throw new Error(`the driver reports: ${message}`)
}

export const openAt = (url: string): Storage => openPostgres({ url, onError })

/** A schema of its own in the shared server. */
export async function openSchema(): Promise<TestStorage & { readonly url: string }> {
  if (server === null) throw new Error('shareServer() was not called')
  const url = `${server.url}?schema=test_${++databases}&pool_size=4`
  const storage = openAt(url)
  const opened = [storage]
  const openMore = async (): Promise<Storage> => {
    const more = openAt(url)
    opened.push(more)
    return more
  }
  return {
    url,
    storage,
    peer: openMore,
    async whileHeld(id, act) {
      await using session = await openSessionOf(url)
      await session.query(`BEGIN; SELECT FROM octoflow_requests WHERE id = ${id} FOR NO KEY UPDATE`)
      await act()
    },
    async reopen() {
      await storage.close()
      return openMore()
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((handle) => handle.close()))
    },
  }
}

/** Reads a schema with the user's own SQL. @returns rows of texts. */
export async function querySchema(url: string, sql: string): Promise<(string | null)[][]> {
  await using session = await openSessionOf(url)
  return await session.query(sql)
}

export function openSessionOf(url: string): Promise<Session> {
  const { searchParams } = new URL(url)
  return openSession(url.replace(/\?.*$/, ''), searchParams.get('schema')!)
}
