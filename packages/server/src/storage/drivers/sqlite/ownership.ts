import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { isBusy } from './errors.ts'

/**
 * The right of one process to write a database file. Two servers on one file would be safe for the data, but neither would
 * hear of the other's commits, and each would stand still while the other writes.
 *
 * The right is a lock of the operating system, taken through SQLite on an empty file beside the database. It ends with the
 * process, however the process ends, so that no stale lock is ever left behind.
 */
export class Ownership {
  readonly #lock: DatabaseSync

  /** @throws `data_directory_in_use` */
  constructor(databasePath: string) {
    this.#lock = new DatabaseSync(`${databasePath}-owner`, { timeout: 0 })
    try {
      this.#lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    } catch (error) {
      this.#lock.close()
      if (isBusy(error)) throw new OctoflowError('data_directory_in_use', { path: dirname(databasePath) }, { cause: error })
      throw error
    }
  }

  /** The empty file stays: to remove it could take the lock from under a process that has just got it. */
  end(): void {
    this.#lock.close()
  }
}
