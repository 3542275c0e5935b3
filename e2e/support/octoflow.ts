import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from './client.ts'
import { type Owner, whenDone } from './owner.ts'
import { ServerProcess, type StartOptions } from './server-process.ts'

/** A running server and a client of it that holds the static key. */
export interface Octoflow {
  readonly server: ServerProcess
  readonly client: Client
  /** The server's database, for reading. */
  database(): DatabaseSync
}

/** Starts a server of the owner's own, which is stopped when the owner has finished. */
export async function startOctoflow(owner: Owner, options: StartOptions = {}): Promise<Octoflow> {
  const server = new ServerProcess(owner, options)
  await server.listening()
  return {
    server,
    client: new Client(server.url),
    database() {
      const database = new DatabaseSync(join(server.data, 'octoflow.db'), { readOnly: true })
      whenDone(owner, () => database.close())
      return database
    },
  }
}
