import { after, before } from 'node:test'
import { MongoClient } from 'mongodb'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openMongodb } from '../../src/storage/drivers/mongodb/index.ts'
import type { TestStorage } from '../conformance/harness.ts'
import { Ferretdb, missingForFerretdb } from './ferretdb.ts'

const missing = await missingForFerretdb()

/** Why the tests of this file are skipped, if they are. Where everything is to be there, they fail instead. */
export const SKIPPED = process.env.CI === undefined && missing !== null ? missing : false

/** The server that all tests of a file share, and a client that sees all of it. */
let shared: { readonly server: Ferretdb; readonly client: MongoClient } | null = null
let databases = 0

// Not by the first test: to build the server may take longer than a test is given.
if (SKIPPED === false) {
  before(async () => {
    const server = await Ferretdb.start()
    shared = { server, client: new MongoClient(server.url) }
  })
  after(async () => {
    await shared?.client.close()
    await shared?.server[Symbol.asyncDispose]()
  })
}

/** The name of a database that nobody else uses, and its URL. */
export function freshDatabase(): { readonly name: string; readonly url: string } {
  const name = `test${databases++}`
  return { name, url: `${shared!.server.url}${name}` }
}

/** What the driver says of the server is the same in all tests, and looked at by one. */
export const openAt = (url: string, onError: (message: string) => void = () => undefined): Storage =>
  openMongodb({ url, onError })

/** A database of its own for one test. */
export async function openDatabase(): Promise<TestStorage> {
  const { name, url } = freshDatabase()
  const opened: Storage[] = []
  const open = (): Storage => {
    const storage = openAt(url)
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
      await Promise.all(opened.map((handle) => handle.close()))
      // Of hundreds of databases, the server would keep some memory for each.
      await shared!.client.db(name).dropDatabase()
    },
  }
}
