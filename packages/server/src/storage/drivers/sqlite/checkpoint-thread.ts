import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/**
 * Moves pages from the log to the database file beside the writer, which goes on appending meanwhile. Answers each
 * message with how many pages the log holds and how many of them are moved, or with what went wrong.
 */
const db = new DatabaseSync(workerData as string)
db.exec('PRAGMA synchronous = FULL')
const checkpoint = db.prepare('PRAGMA wal_checkpoint(PASSIVE)')

parentPort?.on('message', () => {
  try {
    const { log, checkpointed } = checkpoint.get() as { log: number; checkpointed: number }
    parentPort?.postMessage({ log, checkpointed })
  } catch (error) {
    parentPort?.postMessage({ error: (error as Error).message })
  }
})
