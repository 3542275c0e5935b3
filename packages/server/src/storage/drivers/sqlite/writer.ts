import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { ReadyListener } from '../../contract/storage.ts'
import type { Database } from './database.ts'
import { isCondition } from './errors.ts'
import { Transaction } from './transaction.ts'

interface Task {
  /** How many items it is about. */
  readonly weight: number
  readonly work: (transaction: Transaction) => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/** A transaction of more items, unless one write has them, would keep the event loop from its other work. */
const LARGEST_GROUP = 1_000

/**
 * Group commit: all writes that one turn of the event loop asks for go into one transaction, so that a disk sync is
 * shared by as many as there are, and a lone write waits for nobody.
 *
 * A write that throws must not take the others with it. Savepoints would guard against that at the cost of two
 * statements for each write, so the group is run without: when one throws, the transaction is rolled back and each write
 * is run again in one of its own. A write is therefore a function of the database alone; it may run twice.
 */
export class Writer {
  readonly #db: Database
  readonly #listeners = new Set<ReadyListener>()
  readonly #logEventListeners = new Set<() => void>()
  readonly #afterCommit: () => Promise<void> | null
  #tasks: Task[] = []
  #scheduled = false
  #closed = false

  /** @param afterCommit tells what the next commit has to wait for, if anything. */
  constructor(db: Database, afterCommit: () => Promise<void> | null) {
    this.#db = db
    this.#afterCommit = afterCommit
  }

  write<Result>(work: (transaction: Transaction) => Result, weight = 1): Promise<Result> {
    if (this.#closed) return Promise.reject(new OctoflowError('storage_closed'))
    return new Promise((resolve, reject) => {
      this.#tasks.push({ work, weight, resolve, reject })
      this.#schedule()
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
  close(): void {
    this.#closed = true
    while (this.#tasks.length > 0) this.#commitGroup()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      if (this.#tasks.length > 0) this.#commitGroup()
      const obstacle = this.#afterCommit()
      if (obstacle === null) this.#goOn()
      else void obstacle.then(() => this.#goOn())
    })
  }

  #goOn(): void {
    this.#scheduled = false
    if (this.#tasks.length > 0) this.#schedule()
  }

  #commitGroup(): void {
    let weight = 0
    let count = 0
    while (count < this.#tasks.length && weight < LARGEST_GROUP) weight += this.#tasks[count++]!.weight
    const group = this.#tasks.splice(0, count)
    const error = this.#commit(group)
    if (error === null) return
    if (group.length === 1 || isCondition(error)) for (const task of group) task.reject(error)
    else for (const task of group) this.#commitAlone(task)
  }

  #commitAlone(task: Task): void {
    const error = this.#commit([task])
    if (error !== null) task.reject(error)
  }

  /** @returns what was thrown, if anything; then nothing is stored and no task has been answered. */
  #commit(group: readonly Task[]): unknown {
    const results: unknown[] = []
    const transaction = new Transaction(this.#db)
    try {
      this.#db.run('BEGIN IMMEDIATE')
      for (const task of group) results.push(task.work(transaction))
      transaction.flush()
      this.#db.run('COMMIT')
    } catch (error) {
      this.#db.rollback()
      return error ?? new Error('a write threw nothing')
    }
    for (const [index, task] of group.entries()) task.resolve(results[index] as never)
    for (const { queue, count } of transaction.ready()) for (const listener of this.#listeners) listener(queue, count)
    if (transaction.logEvents.appended) for (const listener of this.#logEventListeners) listener()
    return null
  }
}
