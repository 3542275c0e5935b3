import { connect, type Socket } from 'node:net'

/**
 * One keep-alive HTTP/1.1 connection that does no more than a load generator needs: one request at a time, answers with a
 * Content-Length. Several times faster than a full client, so that it is the server that is measured.
 */
export class Connection {
  readonly #socket: Socket
  readonly #head: string
  #buffer: Buffer = Buffer.alloc(0)
  #resolve: ((answer: Answer) => void) | null = null
  #reject: ((error: Error) => void) | null = null

  private constructor(socket: Socket, host: string, key: string) {
    this.#socket = socket
    this.#head = `Host: ${host}\r\nAuthorization: Bearer ${key}\r\n`
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.#reject?.(error))
    socket.on('close', () => this.#reject?.(new Error('the server closed the connection')))
  }

  static open(url: string, key: string): Promise<Connection> {
    const { hostname, port, host } = new URL(url)
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(new Connection(socket, host, key)))
      socket.once('error', reject)
    })
  }

  send(method: string, path: string, body = ''): Promise<Answer> {
    const type = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#socket.write(`${method} ${path} HTTP/1.1\r\n${this.#head}${type}\r\n${body}`)
    })
  }

  close(): void {
    this.#reject = null
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    const headEnd = this.#buffer.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = this.#buffer.toString('latin1', 0, headEnd)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    const end = headEnd + 4 + length
    if (this.#buffer.length < end) return
    const answer = { status: Number(head.slice(9, 12)), body: this.#buffer.toString('utf8', headEnd + 4, end) }
    this.#buffer = this.#buffer.subarray(end)
    const resolve = this.#resolve
    this.#resolve = null
    resolve?.(answer)
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
}
