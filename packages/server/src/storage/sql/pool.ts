import { OctoflowError } from '../../errors/octoflow-error.ts'

/** What a pool keeps. A connection that is lost serves nobody any more. */
export interface PooledConnection {
  readonly lost: boolean
  close(): Promise<void>
}

interface Waiter<Connection> {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
}

/** Connections, opened when they are first needed and then kept. Who finds none free waits for its turn. */
export class Pool<Connection extends PooledConnection> {
  readonly #connect: () => Promise<Connection>
  readonly #size: number
  readonly #free: Connection[] = []
  readonly #all = new Set<Connection>()
  readonly #waiting: Waiter<Connection>[] = []
  #opening = 0
  #closed = false

  constructor(connect: () => Promise<Connection>, size: number) {
    this.#connect = connect
    this.#size = size
  }

  /** @throws `storage_unavailable`, `database_refused`, `storage_closed` */
  acquire(): Promise<Connection> {
    if (this.#closed) return Promise.reject(new OctoflowError('storage_closed'))
    for (let free = this.#free.pop(); free !== undefined; free = this.#free.pop()) {
      if (!free.lost) return Promise.resolve(free)
      this.#drop(free)
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      if (this.#all.size + this.#opening < this.#size) void this.#open()
    })
  }

  /** Takes a connection back, ready for the next one. */
  release(connection: Connection): void {
    if (connection.lost || this.#closed) {
      this.#drop(connection)
      if (this.#waiting.length > 0 && !this.#closed) void this.#open()
      return
    }
    const waiter = this.#waiting.shift()
    if (waiter === undefined) this.#free.push(connection)
    else waiter.resolve(connection)
  }

  /** To be called when no connection is in use. */
  async close(): Promise<void> {
    this.#closed = true
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
      if (this.#all.size === 0) for (const { reject } of this.#waiting.splice(0)) reject(error)
      else this.#waiting.shift()?.reject(error)
    } finally {
      this.#opening--
    }
  }

  #drop(connection: Connection): void {
    this.#all.delete(connection)
    void connection.close()
  }
}
