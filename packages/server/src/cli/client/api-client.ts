import type { Me } from '@octoflow/protocol'
import { VERSION } from '../../version.ts'
import { type CommandError, toCommandError } from '../command-error.ts'
import type { Session } from '../session.ts'
import { misdirected, ofAnotherVersion, refused, unreachable } from './api-errors.ts'
import { findServer, type ServerAddress, type ServerOptions } from './find-server.ts'
import { readEventStream, type ServerEvent } from './server-events.ts'

/** What the server says, as the text it is and as a value: numbers that JavaScript cannot hold survive in the text only. */
export interface Answer<Value> {
  readonly status: number
  readonly text: string
  readonly value: Value
}

export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>

/** The log events API, whose paths begin with another root and whose answers may be lists. */
export const LOG_EVENTS = '/v1/events'
const NATIVE = '/api/v1'

interface Call {
  /** The API that the path belongs to; the native one if it is left out. */
  readonly root?: string | undefined
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  /** JSON text. */
  readonly body?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** A server that does not answer for so long is given up. */
const ANSWER_WITHIN_MS = 60_000

/** Tells who one is, and what the server is. */
const WHO = '/me'

const USER_AGENT = `octoflow-cli/${VERSION}`

/** Speaks the native API, and that of log events. */
export class ApiClient {
  readonly address: ServerAddress
  readonly #signal: AbortSignal

  constructor(address: ServerAddress, signal: AbortSignal) {
    this.address = address
    this.#signal = signal
  }

  get<Value>(path: string, query: Query = {}): Promise<Answer<Value>> {
    return this.call({ method: 'GET', path: withQuery(path, query) })
  }

  post<Value>(path: string, body?: unknown): Promise<Answer<Value>> {
    return this.call({ method: 'POST', path, body: body === undefined ? undefined : JSON.stringify(body) })
  }

  patch<Value>(path: string, body: unknown): Promise<Answer<Value>> {
    return this.call({ method: 'PATCH', path, body: JSON.stringify(body) })
  }

  delete<Value>(path: string): Promise<Answer<Value>> {
    return this.call({ method: 'DELETE', path })
  }

  /** @param call.path below the root. */
  async call<Value>(call: Call): Promise<Answer<Value>> {
    const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS)
    const response = await this.#send(call, AbortSignal.any([this.#signal, timeout]))
    let text: string
    try {
      text = await response.text()
    } catch (error) {
      throw this.#failure(error)
    }
    if (!response.ok) throw await this.#refused(response.status, text, call)
    if (text === '') return { status: response.status, text: 'null', value: null as Value }
    const value = valueIn(text, call.root)
    if (value === null) throw misdirected(this.address, response.status)
    return { status: response.status, text, value: value as Value }
  }

  /** What to say of an error that nobody foresaw: a server of another version may have answered what none of ours does. */
  async explain(error: unknown): Promise<CommandError> {
    const known = toCommandError(error)
    const version = await this.#otherVersion()
    return version === null ? known : ofAnotherVersion(this.address, version, known.message, known.code)
  }

  /**
   * Live updates, until the connection ends.
   * @param lastId the last event that was seen, so that the server sends what was missed since.
   * @returns once the server has begun to answer; what happens from then on is told.
   */
  async stream(
    lastId: string | null,
    signal: AbortSignal,
    where: Pick<Call, 'root' | 'path'> = { path: '/stream' },
  ): Promise<AsyncIterable<ServerEvent>> {
    const headers = { accept: 'text/event-stream', ...(lastId !== null && { 'last-event-id': lastId }) }
    const response = await this.#send({ method: 'GET', headers, ...where }, AbortSignal.any([this.#signal, signal]))
    if (!response.ok) throw refused(this.address, response.status, await response.text(), where.root !== undefined)
    const type = response.headers.get('content-type') ?? ''
    if (response.body === null || !type.startsWith('text/event-stream')) throw misdirected(this.address, response.status)
    return readEventStream(response.body)
  }

  /** An answer that is read bit by bit, however long it is. */
  async open(where: Pick<Call, 'root' | 'path'>): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#send({ method: 'GET', ...where }, this.#signal)
    if (!response.ok) throw refused(this.address, response.status, await response.text(), where.root !== undefined)
    if (response.body === null) throw misdirected(this.address, response.status)
    return response.body
  }

  async #send({ method, root = NATIVE, path, body, headers }: Call, signal: AbortSignal): Promise<Response> {
    const { url, key } = this.address
    try {
      return await fetch(`${url}${root}${path}`, {
        method,
        headers: {
          'user-agent': USER_AGENT,
          ...(key !== null && { authorization: `Bearer ${key}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        signal,
        ...(body !== undefined && { body }),
      })
    } catch (error) {
      throw this.#failure(error)
    }
  }

  async #refused(status: number, text: string, { path, root }: Call): Promise<CommandError> {
    const error = refused(this.address, status, text, root !== undefined)
    const unserved = error.code === 'not_found' || error.code === 'method_not_allowed'
    return unserved && path !== WHO ? this.explain(error) : error
  }

  /** The server's version if it is not that of this command line; `null` if it is, or is not known. */
  async #otherVersion(): Promise<string | null> {
    try {
      const { value } = await this.get<Partial<Me>>(WHO)
      return value.server === undefined || value.server.version === VERSION ? null : value.server.version
    } catch {
      return null
    }
  }

  #failure(error: unknown): unknown {
    return this.#signal.aborted ? error : unreachable(this.address, error)
  }
}

/** The server that a command's options lead to. */
export async function connect(session: Session, options: ServerOptions): Promise<ApiClient> {
  const client = new ApiClient(await findServer(session.host, options), session.signal)
  session.explain = (error) => client.explain(error)
  return client
}

/** @returns `null` for what is no JSON object, as every answer of the native API is, or list of them. */
function valueIn(text: string, root: Call['root']): object | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && (root !== undefined || !Array.isArray(value)) ? value : null
  } catch {
    return null
  }
}

export function withQuery(path: string, query: Query): string {
  const params = new URLSearchParams()
  for (const [name, value = []] of Object.entries(query))
    for (const one of typeof value === 'object' ? value : [value]) params.append(name, String(one))
  return params.size === 0 ? path : `${path}?${params}`
}
