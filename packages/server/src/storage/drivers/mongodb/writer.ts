import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { ReadyListener } from '../../contract/storage.ts'
import type { Connection } from './connection.ts'
import { isTrouble } from './errors.ts'
import type { Journal } from './journal.ts'
import { Tables } from './tables.ts'
import { Transaction } from './transaction.ts'

interface Task {
  readonly work: (transaction: Transaction) => Promise<unknown>
  readonly weight: number
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/** A commit that weighs more than this would keep others waiting. */
const LARGEST_GROUP = 1_000

/**
 * Group commit: all writes that are asked for while one commit is under way go into the next one, so that a round trip and
 * a disk sync are shared by as many as there are, and a lone write waits for nobody.
 *
 * The writes of a group are run one after the other on what `Tables` know, and commit together by one entry of the journal.
 * Where another server was first, they are run again on what that has made of it. A write is therefore a function of
 * the transaction alone; it may run several times. One that throws takes no other with it: the group is run without it.
 */
export class Writer {
  readonly #connection: Connection
  readonly #journal: Journal
  readonly #tables: Tables
  readonly #listeners = new Set<ReadyListener>()
  readonly #logEventListeners = new Set<() => void>()
  #tasks: Task[] = []
  #working: Promise<void> | null = null
  #closed = false

  constructor(connection: Connection, journal: Journal) {
    this.#connection = connection
    this.#journal = journal
    this.#tables = new Tables(connection)
  }

  /** @param weight how much it writes: 1 is what a few jobs weigh. */
  write<Result>(work: (transaction: Transaction) => Promise<Result>, weight = 1): Promise<Result> {
    if (this.#closed) return Promise.reject(new OctoflowError('storage_closed'))
    return new Promise((resolve, reject) => {
      this.#tasks.push({ work, weight, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  onReady(listener: ReadyListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onLogEvents(listener: () => void): () => void {
    this.#logEventListeners.add(listener)
    return () => this.#logEventListeners.delete(listener)
  }

  /** Commits what was asked for and refuses what comes later. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#working
  }

  async #work(): Promise<void> {
    // Whatever else this turn of the event loop asks for comes along.
    await new Promise(setImmediate)
    while (this.#tasks.length > 0) await this.#commitGroup(this.#nextGroup())
    await this.#journal.announce().catch(() => undefined)
    this.#working = null
    if (this.#tasks.length > 0) this.#working = this.#work()
  }

  #nextGroup(): Task[] {
    let weight = 0
    const beyond = this.#tasks.findIndex((task) => {
      weight += task.weight
      return weight > LARGEST_GROUP
    })
    return this.#tasks.splice(0, beyond === -1 ? this.#tasks.length : Math.max(1, beyond))
  }

  async #commitGroup(group: Task[]): Promise<void> {
    try {
      while (group.length > 0 && !(await this.#commit(group))) {
        this.#tables.rollback()
        const changes = await this.#journal.takeTurn()
        if (changes === null) this.#tables.forget()
        else this.#tables.adopt(changes)
      }
    } catch (error) {
      this.#tables.forget()
      this.#journal.reset()
      for (const task of group) task.reject(error)
      // Those who wait behind would meet the same, one group after the other.
      if (isTrouble(error)) this.#turnAway(error)
    }
  }

  /** Of these nothing was begun. */
  #turnAway(trouble: unknown): void {
    for (const task of this.#tasks.splice(0)) task.reject(new OctoflowError('storage_unavailable', {}, { cause: trouble }))
  }

  /** @returns `false` where another server was first; then nothing is stored and nobody was answered. */
  async #commit(group: Task[]): Promise<boolean> {
    const { sequences } = await this.#journal.head()
    const transaction = new Transaction(this.#connection, this.#tables, sequences)
    const results: unknown[] = []
    for (const [index, task] of group.entries()) {
      try {
        results.push(await task.work(transaction))
      } catch (error) {
        if (isTrouble(error)) throw error
        this.#tables.rollback()
        // What was read may be of different moments, if another server is writing; then it proves nothing.
        if (!(await this.#journal.isUnchanged())) return false
        group.splice(index, 1)
        task.reject(error)
        return group.length === 0 ? this.#nothing() : this.#commit(group)
      }
    }
    await transaction.flush()
    const changes = this.#tables.changes()
    if (changes.length === 0) {
      if (!(await this.#journal.isUnchanged())) return false
      await this.#nothing()
    } else if (!(await this.#journal.append({ changes, sequences: transaction.sequences }))) return false
    this.#tables.commit()
    for (const [index, task] of group.entries()) task.resolve(results[index] as never)
    for (const { queue, count } of transaction.ready()) for (const listener of this.#listeners) listener(queue, count)
    if (transaction.logEvents.appended) for (const listener of this.#logEventListeners) listener()
    return true
  }

  async #nothing(): Promise<true> {
    await this.#journal.pass()
    return true
  }
}
