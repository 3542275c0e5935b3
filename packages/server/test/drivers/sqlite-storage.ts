import { join } from 'node:path'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openSqlite, type SqliteOptions } from '../../src/storage/drivers/sqlite/index.ts'
import type { TestStorage } from '../conformance/harness.ts'
import { Directory } from './directory.ts'

/** Trouble that no call is told of fails the test by an exception that nobody catches. */
function onError(message: string): void {
  throw new Error(`the driver reports: ${message}`)
}

export const openAt = (path: string): Storage => openSqlite({ path, onError })

/** A database that is open as long as it is used, and closed whatever happens. */
export async function withStorage<Result>(
  opening: string | SqliteOptions,
  use: (storage: Storage) => Promise<Result>,
): Promise<Result> {
  const storage = typeof opening === 'string' ? openAt(opening) : openSqlite(opening)
  try {
    return await use(storage)
  } finally {
    await storage.close()
  }
}

export async function openMemory(): Promise<TestStorage> {
  const storage = openAt(':memory:')
  return { storage, [Symbol.asyncDispose]: () => storage.close() }
}

export async function openFile(): Promise<TestStorage> {
  const directory = await Directory.make()
  const path = join(directory.path, 'octoflow.db')
  const storage = openAt(path)
  const opened = [storage]
  return {
    storage,
    async reopen() {
      await storage.close()
      const again = openAt(path)
      opened.push(again)
      return again
    },
    async [Symbol.asyncDispose]() {
      for (const handle of opened) await handle.close()
      await directory[Symbol.asyncDispose]()
    },
  }
}
