import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Owner, whenDone } from '../../support/owner.ts'

/** A way to a server that can be blocked, as a network does: connections stay open, and nothing comes through. */
export class NetworkLink {
  readonly #port: number
  readonly #sockets = new Set<Socket>()
  readonly #near = createServer((socket) => this.#carry(socket))
  #blocked = false

  private constructor(port: number) {
    this.#port = port
  }

  /** @param port the server's, on this machine. */
  static async open(owner: Owner, port: number): Promise<NetworkLink> {
    const link = new NetworkLink(port)
    link.#near.listen(0, '127.0.0.1')
    await once(link.#near, 'listening')
    whenDone(owner, () => {
      link.#near.close()
      link.#breakAll()
    })
    return link
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#near.address() as AddressInfo).port}`
  }

  block(): void {
    this.#blocked = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** What was under way is lost: its connections are broken, and new ones get through. */
  unblock(): void {
    this.#blocked = false
    this.#breakAll()
  }

  #carry(near: Socket): void {
    const far = connect(this.#port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (bytes) => to.write(bytes))
      // What goes wrong on one side closes it, which closes the other.
      from.on('error', () => undefined)
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      if (this.#blocked) from.pause()
    }
  }

  #breakAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
