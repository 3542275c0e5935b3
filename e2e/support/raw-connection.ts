import { connect, type Socket } from 'node:net'
import { assertDiscreet } from './client.ts'
import { type Owner, whenDone } from './owner.ts'
import { KEY } from './server-process.ts'
import { within } from './until.ts'

export interface RawAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly text: string
}

const PATIENCE_SECONDS = 10

/** A connection on which a test says byte for byte what it wants, which no HTTP client would let it. */
export class RawConnection {
  readonly #socket: Socket
  readonly #connected: Promise<void>
  readonly #answers: RawAnswer[] = []
  #unread = Buffer.alloc(0)
  #closed = false
  #changed = Promise.withResolvers<void>()

  constructor(owner: Owner, url: string) {
    const { hostname, port } = new URL(url)
    this.#socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    this.#connected = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve)
      this.#socket.once('error', reject)
    })
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes))
    // A connection that the server resets has ended, too.
    this.#socket.on('error', () => this.#end())
    this.#socket.on('end', () => this.#end())
    this.#socket.on('close', () => this.#end())
    whenDone(owner, () => {
      this.#socket.destroy()
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Sends text as Latin-1, so that a character is a byte. Resolves when the system has taken it, or the connection is gone. */
  async send(bytes: string | Buffer): Promise<void> {
    await this.#connected
    await new Promise<void>((resolve) => {
      if (this.#socket.destroyed) resolve()
      else this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => resolve())
    })
  }

  /** Says that nothing more will be sent. */
  halfClose(): void {
    this.#socket.end()
  }

  close(): void {
    this.#socket.destroy()
  }

  /** The next answer; `null` if the connection ends without one. */
  async answer(seconds = PATIENCE_SECONDS): Promise<RawAnswer | null> {
    await this.#until(seconds, 'an answer', () => this.#answers.length > 0 || this.#closed)
    return this.#answers.shift() ?? null
  }

  ended(seconds = PATIENCE_SECONDS): Promise<void> {
    return this.#until(seconds, 'the end of the connection', () => this.#closed)
  }

  async #until(seconds: number, what: string, holds: () => boolean): Promise<void> {
    const deadline = performance.now() + seconds * 1_000
    while (!holds()) await within(Math.max(0, (deadline - performance.now()) / 1_000), what, this.#changed.promise)
  }

  #take(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes])
    for (let read = readAnswer(this.#unread); read !== null; read = readAnswer(this.#unread)) {
      this.#answers.push(read.answer)
      this.#unread = this.#unread.subarray(read.length)
    }
    this.#notify()
  }

  #end(): void {
    this.#closed = true
    this.#notify()
  }

  #notify(): void {
    const { resolve } = this.#changed
    this.#changed = Promise.withResolvers<void>()
    resolve()
  }
}

/** The head of a request as text, with what HTTP/1.1 and the server ask for; `headers` are added or take their place. */
export function requestHead(method: string, target: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = { host: 'localhost', authorization: `Bearer ${KEY}`, ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Sends bytes over a connection of their own. @returns the first answer; `null` if there is none. */
export async function exchange(owner: Owner, url: string, bytes: string | Buffer): Promise<RawAnswer | null> {
  const connection = new RawConnection(owner, url)
  await connection.send(bytes)
  const answer = await connection.answer()
  connection.close()
  if (answer !== null) assertDiscreet(answer.text)
  return answer
}

/** @returns `null` while the answer has not come in full. Every answer of the server says how long it is. */
function readAnswer(bytes: Buffer): { readonly answer: RawAnswer; readonly length: number } | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return null
  const [statusLine = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n')
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const length = headEnd + 4 + Number(headers.get('content-length') ?? 0)
  if (bytes.length < length) return null
  const text = bytes.subarray(headEnd + 4, length).toString('utf8')
  return { answer: { status: Number(statusLine.split(' ')[1]), headers, text }, length }
}
