import { Worker } from 'node:worker_threads'
import type { Database } from './database.ts'

/** Begin to move pages when the log holds so many (of 8 KiB). */
const START_AT = 1_000

/** Writes wait for the thread when the log holds so many, 32 MiB. */
const STOP_AT = 4_000

/** The writer moves the last pages itself once they are so few: then the log is begun anew. */
const FINISH_AT = 50

/** After so many rounds the writer is faster than the thread, and finishes however many pages are left. */
const ROUNDS = 8

/** An idle thread is ended after so long: it holds some ten megabytes. */
const IDLE_MS = 30_000

type Answer = { readonly log: number; readonly checkpointed: number } | { readonly error: string }

/**
 * Keeps the write-ahead log short without making anybody wait for it.
 *
 * A checkpoint by the connection that commits stops all else for as long as it takes: measured under full load, that
 * put the 99th percentile of a capture at 25 to 44 ms. One by another connection cannot keep up on its own: the log is
 * begun anew only when every page of it has been moved, and the writer keeps adding to it (600 MB were seen). So a thread
 * moves most of it, again and again while much is left, and the writer moves the last few pages between two commits. The
 * log then stays at about 8 MB and the 99th percentile at 6 ms. In a burst of large bodies (250 MB/s were seen) the thread
 * never gets so near the end; then writes wait the few milliseconds in which it does.
 */
export class Checkpointer {
  readonly #db: Database
  readonly #onError: (message: string) => void
  #thread: Worker | null = null
  #idle: NodeJS.Timeout | null = null
  #closed = false
  /** What is being done about the log; `null` while nothing is. */
  #work: PromiseWithResolvers<void> | null = null
  #rounds = 0
  /** Pages that could not be moved the last time: another program reads them. */
  #stuck = 0

  constructor(db: Database, onError: (message: string) => void) {
    this.#db = db
    this.#onError = onError
  }

  /**
   * To be called after each commit.
   * @returns what the next commit has to wait for, if anything.
   */
  committed(): Promise<void> | null {
    if (this.#db.inMemory || this.#closed) return null
    // Looking costs 1.3 µs, a commit 200.
    const { log, left } = this.#pages()
    if (this.#work === null && left - this.#stuck >= START_AT) this.#begin()
    return log - this.#stuck >= STOP_AT && this.#work !== null ? this.#work.promise : null
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#work?.resolve()
    await this.#endThread()
    if (this.#db.inMemory) return
    try {
      this.#db.run('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // Another connection reads, or the disk is full: what stays in the log is read from there at the next start.
    }
  }

  #begin(): void {
    this.#work = Promise.withResolvers()
    this.#rounds = 0
    this.#askThread()
  }

  #askThread(): void {
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#thread ??= this.#startThread()
    this.#thread.postMessage(null)
  }

  #startThread(): Worker {
    const thread = new Worker(new URL('./checkpoint-thread.ts', import.meta.url), {
      workerData: this.#db.path,
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    })
    thread.unref()
    thread.on('message', (answer: Answer) => this.#answered(answer))
    thread.on('error', (error) => this.#failed(String(error)))
    return thread
  }

  #answered(answer: Answer): void {
    if (this.#closed) return
    if ('error' in answer) {
      this.#failed(answer.error)
      return
    }
    this.#rounds++
    if (this.#pages().left > FINISH_AT && this.#rounds < ROUNDS) this.#askThread()
    else this.#finish()
  }

  #failed(message: string): void {
    if (this.#closed) return
    this.#onError(message)
    void this.#endThread()
    this.#finish()
  }

  #finish(): void {
    try {
      this.#db.run('PRAGMA wal_checkpoint(PASSIVE)')
    } catch (error) {
      this.#onError((error as Error).message)
    }
    this.#stuck = this.#pages().left
    this.#work?.resolve()
    this.#work = null
    this.#idle = setTimeout(() => void this.#endThread(), IDLE_MS).unref()
  }

  async #endThread(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle)
    const thread = this.#thread
    this.#thread = null
    await thread?.terminate()
  }

  /** How many pages the log holds, and how many of them are still to be moved. */
  #pages(): { readonly log: number; readonly left: number } {
    try {
      const [, log, moved] = this.#db.row<[busy: number, log: number, moved: number]>('PRAGMA wal_checkpoint(NOOP)')!
      return { log, left: log - moved }
    } catch (error) {
      this.#onError((error as Error).message)
      return { log: 0, left: 0 }
    }
  }
}
