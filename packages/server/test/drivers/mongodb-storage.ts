import { after } from 'node:test'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openMongodb } from '../../src/storage/drivers/mongodb/index.ts'
import type { TestStorage } from '../conformance/harness.ts'
import { Ferretdb, missingForFerretdb } from './ferretdb.ts'

const missing = await missingForFerretdb()

/** Why the tests of this file are skipped, if they are. Where everything is to be there, they fail instead. */
export const SKIPPED = process.env.CI === undefined && missing !== null ? missing : false

let server: Promise<Ferretdb> | null = null
let databases = 0

after(async () => (await server)?.[Symbol.asyncDispose]())

/** The server that all tests of a file share. */
const sharedServer = (): Promise<Ferretdb> => (server ??= Ferretdb.start())

/** The URL of a database that nobody else uses. */
export const freshDatabase = async (): Promise<string> => `${(await sharedServer()).url}test${databases++}`

/** A database of its own for one test. */
export async function openDatabase(): Promise<TestStorage> {
  const url = await freshDatabase()
  const opened: Storage[] = []
  const open = (): Storage => {
    const storage = openMongodb({ url })
    opened.push(storage)
    return storage
  }
  const storage = open()
  return {
    storage,
    peer: async () => open(),
    async reopen() {
      await storage.close()
      return open()
    },
    async [Symbol.asyncDispose]() {
      for (const handle of opened) await handle.close()
    },
  }
}
