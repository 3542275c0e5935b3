import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Watched } from './watched.ts'

/** Sees other processes and threads live and die, by the connections they open. */
export class HangUps extends Watched {
  readonly #server: Server
  #opened = 0
  readonly #open = new Set<Socket>()

  static async listen(test: TestContext): Promise<HangUps> {
    const server = createServer()
    const hangUps = new HangUps(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    test.after(() => {
      for (const socket of hangUps.#open) socket.destroy()
      server.close()
    })
    return hangUps
  }

  constructor(server: Server) {
    super()
    this.#server = server
    server.on('connection', (socket) => {
      this.#opened++
      this.#open.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#open.delete(socket)
        this.changed()
      })
      // What is not read does not end.
      socket.resume()
      this.changed()
    })
  }

  /** How many there have been. */
  get opened(): number {
    return this.#opened
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  untilOpen(count = 1): Promise<void> {
    return this.until(() => this.#open.size >= count)
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.#opened > 0 && this.#open.size === 0)
  }

  /** Tells those who wait to go on. */
  tell(): void {
    for (const socket of this.#open) socket.write('go')
  }
}
