import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 200

/** SQLite's code for a lock that another has. */
const BUSY = 5

/**
 * A lock among processes: one of the operating system, taken through SQLite on an empty file. It ends with its process, however
 * that ends. The file stays: to remove it could take the lock from under a process that has just got it.
 */
export class Lock implements Disposable {
  readonly #file: DatabaseSync

  private constructor(file: DatabaseSync) {
    this.#file = file
  }

  /** Waits for as long as another has it. */
  static async take(path: string): Promise<Lock> {
    for (;;) {
      const file = new DatabaseSync(path, { timeout: 0 })
      try {
        file.exec('BEGIN EXCLUSIVE')
        return new Lock(file)
      } catch (error) {
        file.close()
        if ((error as { readonly errcode?: unknown }).errcode !== BUSY) throw error
      }
      await sleep(LOOK_EVERY_MS)
    }
  }

  [Symbol.dispose](): void {
    this.#file.close()
  }
}
