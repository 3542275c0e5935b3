import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ClaimParams, EventParams, HeartbeatParams, ReportParams } from '../../src/transport.ts'
import type { MemoryServer } from './memory-server.ts'

export const KEY = 'a-key-of-the-tests'

/** How a test meddles with an answer: by answering itself, or by cutting the connection. */
export type Meddler = (request: IncomingMessage, response: ServerResponse, proceed: () => Promise<void>) => unknown

/** The native API's worker routes over a server in memory, which outlives it: stopping this is the server going away. */
export class HttpServer {
  readonly memory: MemoryServer
  /** Method, path and headers of what came in. */
  readonly requests: Pick<IncomingMessage, 'method' | 'url' | 'headers'>[] = []
  readonly #meddlers: Meddler[] = []
  readonly #prefix: string
  #server: Server | null = null
  #port = 0
  connections = 0

  constructor(memory: MemoryServer, prefix = '') {
    this.memory = memory
    this.#prefix = prefix
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}${this.#prefix}`
  }

  /** Listens, on the same port as before if there was one. */
  async start(): Promise<void> {
    this.#server = createServer((request, response) => void this.#serve(request, response))
    this.#server.on('connection', () => this.connections++)
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Goes away as when it is killed: every connection breaks. */
  async stop(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }

  /** The next request that comes goes through this. */
  meddle(meddler: Meddler): void {
    this.#meddlers.push(meddler)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url, headers } = request
    this.requests.push({ method, url, headers })
    const proceed = (): Promise<void> => this.#answer(request, response)
    const meddler = this.#meddlers.shift()
    await (meddler === undefined ? proceed() : meddler(request, response, proceed))
    this.memory.changed()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.authorization !== `Bearer ${KEY}`)
      return send(response, 401, { code: 'unauthorized', detail: 'No valid credential was sent.', hint: 'Send a key.' })
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const answer = await this.#route(request.url!.slice(this.#prefix.length), JSON.parse(await text(request)), gone.signal)
    if (answer === undefined) send(response, 404, { code: 'not_found', detail: `Nothing is served at ${request.url}.` })
    else send(response, 200, answer)
  }

  async #route(path: string, body: object, signal: AbortSignal): Promise<object | undefined> {
    const [, queue] = /^\/api\/v1\/queues\/([^/]+)\/claim$/.exec(path) ?? []
    if (queue !== undefined) return this.memory.claim({ ...(body as ClaimParams), queue: decodeURIComponent(queue), signal })
    if (path === '/api/v1/jobs/heartbeat') return this.memory.heartbeat({ ...(body as HeartbeatParams), signal })
    if (path === '/api/v1/jobs/report') return this.memory.report(fromWire(body as WireReport, signal))
    const [, id] = /^\/api\/v1\/jobs\/(\d+)\/events$/.exec(path) ?? []
    if (id === undefined) return undefined
    const events = 'events' in body ? body.events : [body]
    await this.memory.event({ ...(body as EventParams), id: Number(id), events: events as EventParams['events'], signal })
    return { ids: [] }
  }
}

interface WireReport {
  readonly workerId: string
  readonly jobs: readonly (ReportParams['jobs'][number] & { readonly result?: unknown })[]
}

const fromWire = ({ workerId, jobs }: WireReport, signal: AbortSignal): ReportParams => ({
  workerId,
  signal,
  jobs: jobs.map(({ result, ...report }) =>
    result === undefined ? report : { ...report, resultJson: JSON.stringify(result) },
  ),
})

export function send(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(body))
}

async function text(request: IncomingMessage): Promise<string> {
  let whole = ''
  for await (const chunk of request.setEncoding('utf8')) whole += chunk
  return whole
}
