import { dirname } from 'node:path'
import { type Database, MEMORY } from './config/database-url.ts'
import { makeDataDirectory } from './config/make-directory.ts'
import type { Storage } from './storage/contract/storage.ts'

export interface OpenStorageOptions {
  /** Refuses a database that another process uses, where the driver does not share it. */
  readonly exclusive: boolean
  /** Told of trouble that concerns no call. */
  readonly onError: (message: string) => void
}

/**
 * Opens a database by its URL. A driver, with its client library, is loaded when it is asked for.
 * @throws whatever keeps the database from being opened.
 */
export async function openStorage({ driver, url }: Database, { exclusive, onError }: OpenStorageOptions): Promise<Storage> {
  switch (driver) {
    case 'sqlite': {
      const { openSqlite } = await import('./storage/drivers/sqlite/index.ts')
      if (url !== MEMORY) makeDataDirectory(dirname(url))
      return openSqlite({ path: url, exclusive: exclusive && url !== MEMORY, onError })
    }
    case 'postgres': {
      const { openPostgres } = await import('./storage/drivers/postgres/index.ts')
      return openPostgres({ url, onError })
    }
    case 'mysql': {
      const { openMysql } = await import('./storage/drivers/mysql/index.ts')
      return openMysql({ url, onError })
    }
    case 'mongodb': {
      const { openMongodb } = await import('./storage/drivers/mongodb/index.ts')
      return openMongodb({ url, onError })
    }
  }
}
