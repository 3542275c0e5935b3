import { OctoflowError } from '../../errors/octoflow-error.ts'
import { Pulse } from './pulse.ts'

/** What a pool keeps. A connection that is lost serves nobody any more. */
export interface PooledConnection {
  readonly lost: boolean
  close(): Promise<void>
  /** Ends it at once, whatever it is doing; what it had not committed is rolled back. */
  destroy(): void
}

interface Waiter<Connection> {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
}

/** Who waited behind those to whom the server could not be reached, and comes within so long after them, is told at once. */
const REST_MS = 50

/**
 * Connections, opened when they are first needed and then kept. Who finds none free waits for its turn. When the server has
 * fallen silent all are given up.
 */
export class Pool<Connection extends PooledConnection> {
  readonly #connect: () => Promise<Connection>
  readonly #size: number
  readonly #free: Connection[] = []
  readonly #all = new Set<Connection>()
  readonly #waiting: Waiter<Connection>[] = []
  readonly #pulse = new Pulse<Connection>(
    async () => (await this.#connect()).close(),
    () => {
      for (const connection of this.#all) connection.destroy()
    },
  )
  #opening = 0
  /** Why the server could not be reached last, and until when that is told at once. */
  #trouble: { readonly error: unknown; readonly until: number } | null = null
  #closed = false

  constructor(connect: () => Promise<Connection>, size: number) {
    this.#connect = connect
    this.#size = size
  }

  /** @throws `storage_unavailable`, `database_refused`, `storage_closed` */
  acquire(): Promise<Connection> {
    if (this.#closed) return Promise.reject(new OctoflowError('storage_closed'))
    for (let free = this.#free.pop(); free !== undefined; free = this.#free.pop()) {
      if (!free.lost) {
        this.#pulse.taken(free)
        return Promise.resolve(free)
      }
      this.#drop(free)
    }
    if (this.#trouble !== null && this.#all.size === 0 && performance.now() < this.#trouble.until)
      return Promise.reject(this.#trouble.error)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      if (this.#all.size + this.#opening < this.#size) void this.#open()
    })
  }

  /** Takes a connection back, ready for the next one. */
  release(connection: Connection): void {
    this.#pulse.returned(connection)
    if (connection.lost || this.#closed) {
      this.#drop(connection)
      if (this.#waiting.length > 0 && !this.#closed) void this.#open()
      return
    }
    const waiter = this.#waiting.shift()
    if (waiter === undefined) this.#free.push(connection)
    else {
      this.#pulse.taken(connection)
      waiter.resolve(connection)
    }
  }

  /** To be called when no connection is in use. */
  async close(): Promise<void> {
    this.#closed = true
    this.#pulse.stop()
    for (const { reject } of this.#waiting.splice(0)) reject(new OctoflowError('storage_closed'))
    const all = [...this.#all]
    this.#all.clear()
    await Promise.all(all.map((connection) => connection.close()))
  }

  async #open(): Promise<void> {
    this.#opening++
    try {
      const connection = await this.#connect()
      this.#all.add(connection)
      this.release(connection)
    } catch (error) {
      // Those who wait for one of the others that are open get one; without any there is nothing to wait for.
      if (this.#all.size === 0) {
        this.#trouble = { error, until: performance.now() + REST_MS }
        for (const { reject } of this.#waiting.splice(0)) reject(error)
      } else this.#waiting.shift()?.reject(error)
    } finally {
      this.#opening--
    }
  }

  #drop(connection: Connection): void {
    this.#all.delete(connection)
    void connection.close()
  }
}
