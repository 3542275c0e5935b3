import type { ReadyListener } from '../../contract/storage.ts'
import { withinDeadline } from '../../sql/deadline.ts'
import type { Ready } from '../../sql/queue-change.ts'
import { Connection } from './connection.ts'
import type { Database } from './database.ts'
import { mapError } from './errors.ts'
import { textArray } from './values.ts'

/** Stands among the names of queues for log events; no queue's name is empty. */
const LOG_EVENTS = ''

/** Of PostgreSQL's names, in bytes. */
const LONGEST_NAME = 63

/** How soon a lost connection is opened again, and how often that is tried. */
const RECONNECT_MS = 500

/**
 * Signals that went missing are made up for this often: a server may die between its commit and its notification, and a
 * transaction that kept ready jobs from others may come to nothing.
 */
const BACKSTOP_MS = 5_000

/** A look that is not answered within this shows that the connection is lost, though nobody said so. */
const ANSWER_WITHIN_MS = 5_000

/**
 * Tells which queues are worth claiming from again, and that log events may be followed: those who listen here at once, other
 * servers by NOTIFY.
 *
 * The notification is sent after the commit, by a connection of its own. Sent within the transaction it would be safer by a
 * hair, but PostgreSQL lets only one transaction that notifies commit at a time, disk sync included.
 */
export class Signals {
  readonly #db: Database
  readonly #channel: string
  readonly #onError: (message: string) => void
  readonly #listeners = new Set<ReadyListener>()
  readonly #logEventListeners = new Set<() => void>()
  readonly #untold = new Set<string>()
  #connection: Connection | null = null
  #opening: Promise<void> | null = null
  #telling = false
  /** Whether the loss was told, which is done once. */
  #lost = false
  #closed = false
  #timer: NodeJS.Timeout | null = null

  constructor(db: Database, onError: (message: string) => void) {
    this.#db = db
    this.#channel = `octoflow ${db.options.schema}`.slice(0, LONGEST_NAME)
    this.#onError = onError
  }

  /** Listens from the first subscription on. */
  subscribe(listener: ReadyListener): () => void {
    this.#listeners.add(listener)
    this.#listen()
    return () => this.#listeners.delete(listener)
  }

  /** Listens from the first subscription on. */
  subscribeToLogEvents(listener: () => void): () => void {
    this.#logEventListeners.add(listener)
    this.#listen()
    return () => this.#logEventListeners.delete(listener)
  }

  raise(ready: readonly Ready[], logEvents: boolean): void {
    if (ready.length === 0 && !logEvents) return
    if (logEvents) {
      this.#tellHere(LOG_EVENTS, null)
      this.#untold.add(LOG_EVENTS)
    }
    for (const { queue, count } of ready) {
      this.#tellHere(queue, count)
      this.#untold.add(queue)
    }
    void this.#tellOthers()
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#opening
    await this.#connection?.close()
  }

  #tellHere(queue: string, count: number | null): void {
    if (queue === LOG_EVENTS) for (const listener of this.#logEventListeners) listener()
    else for (const listener of this.#listeners) listener(queue, count)
  }

  /** One notification at a time; what is raised meanwhile goes with the next. */
  async #tellOthers(): Promise<void> {
    this.#listen()
    if (this.#telling || this.#connection === null) return
    this.#telling = true
    try {
      while (this.#untold.size > 0 && !this.#closed) {
        const queues = [...this.#untold]
        this.#untold.clear()
        await this.#connection.rows(NOTIFY, this.#channel, textArray(queues))
      }
    } catch {
      // The connection is lost; those who listen are told of all queues when it is there again.
    } finally {
      this.#telling = false
    }
  }

  #listen(): void {
    if (this.#connection !== null || this.#closed) return
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
  }

  async #open(): Promise<void> {
    try {
      const connection = await Connection.open(this.#db.options)
      connection.onNotification((queue, processId) => {
        if (processId !== connection.processId) this.#tellHere(queue, null)
      })
      connection.onLost((error) => this.#lose(error))
      await connection.command(`LISTEN "${this.#channel.replaceAll('"', '""')}"`)
      if (connection.lost) throw new Error('the connection was lost')
      this.#connection = connection
      this.#lost = false
      await this.#backstop()
      void this.#tellOthers()
    } catch (error) {
      this.#lose(error)
    }
  }

  #lose(error: unknown): void {
    if (this.#closed) return
    const connection = this.#connection
    this.#connection = null
    void connection?.close()
    if (!this.#lost) this.#onError((mapError(error) as Error).message)
    this.#lost = true
    this.#after(RECONNECT_MS, () => this.#listen())
  }

  /** Whatever was missed: has everybody look who waits for a queue or for log events. */
  async #backstop(): Promise<void> {
    this.#tellHere(LOG_EVENTS, null)
    try {
      const connection = this.#connection
      if (connection === null) return
      const look = connection.rows<[string]>('SELECT name FROM octoflow_queues')
      for (const [queue] of await withinDeadline(ANSWER_WITHIN_MS, look, () => connection.destroy()))
        this.#tellHere(queue, null)
    } catch {
      // There are no tables yet, or the connection is lost, which is seen to elsewhere.
    }
    this.#after(BACKSTOP_MS, () => void this.#backstop())
  }

  #after(milliseconds: number, then: () => void): void {
    if (this.#closed) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(then, milliseconds).unref()
  }
}

const NOTIFY = 'SELECT pg_notify($1, queue) FROM unnest($2::text[]) AS queue'
