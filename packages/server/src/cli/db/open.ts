import { randomUUID } from 'node:crypto'
import { type Database, databaseUrl } from '../../config/database-url.ts'
import { OctoflowError } from '../../errors/octoflow-error.ts'
import { SystemClock } from '../../lib/clock.ts'
import { MILLISECOND, SECOND } from '../../lib/time.ts'
import { openStorage } from '../../open-storage.ts'
import type { Storage } from '../../storage/contract/storage.ts'
import type { Session } from '../session.ts'

/** Without the password that it may hold. */
export const nameOf = (database: Database): string => databaseUrl.show!(database)

/**
 * Opens a database for as long as it is used.
 * @param options.beside also where a server uses it that would not share it: to look, not to write.
 */
export async function withStorage<Result>(
  session: Session,
  database: Database,
  use: (storage: Storage) => Promise<Result>,
  { beside = false }: { readonly beside?: boolean } = {},
): Promise<Result> {
  const onError = (message: string): void => session.err.line(`octoflow: ${message}`)
  const storage = await openStorage(database, { exclusive: !beside, onError })
  try {
    return await use(storage)
  } finally {
    await storage.close()
  }
}

/** As those of servers, so that it is the same time for all after which one that was killed is taken for gone. */
const LEASE = 10 * SECOND
const RENEW_EVERY = 3 * SECOND

/**
 * Keeps servers away from a database while something is done with it that they must not see half done: they are led by
 * whoever holds the leader's lease, so where that can be had, none is running. A database that is not shared was opened for
 * this process alone; a lease in it would only outlive a process that is killed.
 * @throws `database_in_use`
 */
export async function alone<Result>(database: Database, storage: Storage, use: () => Promise<Result>): Promise<Result> {
  if (!storage.capabilities.shared) return use()
  const clock = new SystemClock()
  const holder = `octoflow db ${randomUUID()}`
  const hold = () => storage.leader.acquire({ now: clock.now(), holder, until: clock.now() + LEASE })
  const { leader } = await hold()
  if (!leader) throw new OctoflowError('database_in_use', { database: nameOf(database) })
  // Should one renewal fail, the next may not; and what is being done finds out by itself when the database is gone.
  const renewing = setInterval(() => void hold().catch(() => undefined), RENEW_EVERY / MILLISECOND)
  try {
    return await use()
  } finally {
    clearInterval(renewing)
    await storage.leader.resign({ holder })
  }
}
