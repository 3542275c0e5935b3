import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Owner, whenDone } from '../../support/owner.ts'

/**
 * What stands before several servers: gives connection after connection to the next one that serves. A connection stays with
 * its server and breaks with it; who called must call again.
 */
export class Balancer {
  readonly #ports: () => readonly number[]
  readonly #open = new Set<Socket>()
  readonly #front = createServer((socket) => this.#carry(socket))
  #turn = 0

  private constructor(ports: () => readonly number[]) {
    this.#ports = ports
  }

  /** @param ports where servers serve now, on this machine. */
  static async open(owner: Owner, ports: () => readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports)
    balancer.#front.listen(0, '127.0.0.1')
    await once(balancer.#front, 'listening')
    whenDone(owner, () => {
      balancer.#front.close()
      for (const socket of balancer.#open) socket.destroy()
    })
    return balancer
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#front.address() as AddressInfo).port}`
  }

  #carry(near: Socket): void {
    const ports = this.#ports()
    const port = ports[this.#turn++ % ports.length]
    // What goes wrong on one side closes it, which closes the other.
    near.on('error', () => undefined)
    if (port === undefined) {
      near.destroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    far.on('error', () => undefined)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#open.add(from)
      from.pipe(to)
      from.on('close', () => {
        this.#open.delete(from)
        to.destroy()
      })
    }
  }
}
