import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import cors from '@fastify/cors'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { OctoflowError } from '../errors/octoflow-error.ts'
import { Service } from '../lib/service.ts'
import type { Duration } from '../lib/time.ts'
import { captureApi } from './apis/capture/index.ts'
import { LOG_EVENTS, logEventsApi } from './apis/log-events/index.ts'
import { nativeApi } from './apis/native/index.ts'
import type { HttpContext, HttpOptions } from './context.ts'
import { answerWithDetail, answerWithMessage, answerWithProblem, shorten, toAnyForm } from './errors.ts'
import { authentication } from './plugins/authentication.ts'
import { DOCUMENTATION, documentation } from './plugins/documentation.ts'
import { health } from './plugins/health.ts'
import { notFound } from './plugins/not-found.ts'
import { toTrust } from './trust-proxy.ts'
import { compileValidator } from './validation.ts'

/** Slow clients are cut off: headers within 10 s, the whole request within 30 s, looked at every 2 s. */
const HEADERS_MS = 10_000
const REQUEST_MS = 30_000
const LOOK_MS = 2_000

/** Longer than the idle timeout of common proxies, so that they, not we, close a connection that nobody uses. */
const KEEP_ALIVE_MS = 72_000

const LARGEST_HEADERS = 16 * 1024

/** Where the native API lies. */
const NATIVE = '/api/v1'

/** As long as a request line may be: the ids of log events have no bound. */
const LONGEST_PARAM = 16 * 1024

export interface ListenOptions {
  readonly host: string
  /** 0 for any free one. */
  readonly port: number
  /** How long a stop waits for the answers under way before it closes their connections. */
  readonly closeWithin: Duration
}

/** The HTTP server with all its APIs. */
export class HttpServer extends Service {
  readonly #context: HttpContext
  readonly #options: HttpOptions
  readonly #listen: ListenOptions
  readonly #logger: FastifyBaseLogger
  #app: FastifyInstance | null = null
  #url: string | null = null

  constructor(context: HttpContext, options: HttpOptions, listen: ListenOptions, logger: FastifyBaseLogger) {
    super()
    this.#context = context
    this.#options = options
    this.#listen = listen
    this.#logger = logger
  }

  /** Where it listens, such as `http://127.0.0.1:5000`; `null` while it does not. */
  get url(): string | null {
    return this.#url
  }

  protected override async onStart(): Promise<void> {
    const { host, port } = this.#listen
    this.#app = await buildApp(this.#context, this.#options, this.#logger)
    try {
      await this.#app.listen({ host, port })
    } catch (error) {
      throw listenError(error as NodeJS.ErrnoException, host, port)
    }
    const address = this.#app.server.address()
    const actual = typeof address === 'object' && address !== null ? address.port : port
    this.#url = `${this.#options.tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${actual}`
  }

  protected override async onStop(): Promise<void> {
    const app = this.#app
    this.#url = null
    this.#app = null
    if (app === null) return
    const cancel = this.#context.ports.clock.after(this.#listen.closeWithin, () => app.server.closeAllConnections())
    await app.close()
    cancel()
  }
}

/** The APIs without a socket, for `inject()` in tests and for printing the OpenAPI document. */
export async function buildApp(
  context: HttpContext,
  options: HttpOptions,
  logger: FastifyBaseLogger,
): Promise<FastifyInstance> {
  const app = Fastify(serverOptions(options, logger))
  app.setValidatorCompiler(compileValidator)
  // Answers are built field by field, so nothing can slip into them; compiling a serializer for each route is not worth its time.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler(answerByPath)
  app.decorateRequest('rawBody', null)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-content-type-options', 'nosniff')
    const encoding = request.headers['content-encoding']
    if (encoding === undefined || encoding.toLowerCase() === 'identity') return done()
    done(new OctoflowError('unsupported_media_type', { contentType: `with the encoding ${shorten(encoding)}` }))
  })
  closeConnectionsWithAnswers(app)
  await app.register(notFound)
  await app.register(authentication, { authenticator: context.authenticator, publicPrefix: DOCUMENTATION })
  if (options.corsOrigins.length > 0) await app.register(cors, corsOptions(options.corsOrigins))
  await app.register(documentation, { context, options })
  await app.register(health, { context })
  await app.register(captureApi, { context, options })
  await app.register(logEventsApi, { context, options })
  await app.register(nativeApi, { context, prefix: NATIVE })
  await app.ready()
  return app
}

/**
 * While the server stops, a connection ends with the answer under way. Fastify closes those that are idle and refuses new
 * requests, but one that was waiting for its answer, such as a worker's for a job, would be kept alive and hold up the stop.
 */
function closeConnectionsWithAnswers(app: FastifyInstance): void {
  let closing = false
  app.addHook('preClose', (done) => {
    closing = true
    done()
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (closing) reply.header('connection', 'close')
    done()
  })
}

function serverOptions({ bodyLimit, trustProxy, tls }: HttpOptions, logger: FastifyBaseLogger): FastifyHttpOptions<Server> {
  const node = {
    headersTimeout: HEADERS_MS,
    connectionsCheckingInterval: LOOK_MS,
    maxHeaderSize: LARGEST_HEADERS,
  }
  const options: FastifyHttpOptions<Server> = {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // Hardly any request logs anything; a logger for each would cost a microsecond.
    childLoggerFactory: (parent) => parent,
    bodyLimit,
    trustProxy: trustProxy === false ? false : toTrust(trustProxy),
    rewriteUrl: ({ url = '/' }) => (url.startsWith('/') ? url : toOriginForm(url)),
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    routerOptions: { maxParamLength: LONGEST_PARAM },
    clientErrorHandler: answerMalformed,
    frameworkErrors: (error, request, reply) => answerByPath(error, request as FastifyRequest, reply as FastifyReply),
    http: node,
  }
  return tls === null ? options : ({ ...options, https: { ...node, ...readTls(tls) } } as unknown as FastifyHttpOptions<Server>)
}

/** What no API answers itself is answered in the words of the one that the path belongs to. */
function answerByPath(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (request.url.startsWith(`${NATIVE}/`)) answerWithProblem(thrown, request, reply)
  else if (request.url.startsWith(LOG_EVENTS)) answerWithDetail(thrown, request, reply)
  else answerWithMessage(thrown, request, reply)
}

/**
 * The path of a request that names the whole URL, as it would to a proxy, or `*`, which the router would take for `/`.
 * https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
const toOriginForm = (url: string): string => url.replace(/^(?:https?:\/\/[^/?#]*\/?)?/i, '/')

/** @throws `config_invalid` for files that are no certificate and key, or do not belong together. */
function readTls({ certificate, key }: { readonly certificate: string; readonly key: string }): { cert: Buffer; key: Buffer } {
  const pair = { cert: readFileSync(certificate), key: readFileSync(key) }
  try {
    createSecureContext(pair)
  } catch (error) {
    const problems =
      `server.certificate (${certificate}) and server.key (${key}) cannot be used: ${(error as Error).message}; ` +
      'expected a certificate and its key, both in PEM.'
    throw new OctoflowError('config_invalid', { problems }, { cause: error })
  }
  return pair
}

const corsOptions = (origins: readonly string[]) => ({
  origin: origins.includes('*') ? true : [...origins],
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  exposedHeaders: ['etag', 'location', 'retry-after'],
  maxAge: 600,
})

/** What does not even parse as HTTP gets an answer too, where the connection still takes one. */
function answerMalformed(error: { readonly code?: string }, socket: Socket): void {
  if (socket.destroyed || error.code === 'ECONNRESET') return
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new OctoflowError('headers_too_large')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new OctoflowError('request_timeout')
        : new OctoflowError('malformed_request', { reason: 'it cannot be parsed' })
  const body = toAnyForm(known)
  const status = `${known.entry.status} ${known.code.replaceAll('_', ' ')}`
  if (socket.writable)
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  socket.destroySoon()
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  if (error.code === 'EADDRINUSE') return new OctoflowError('address_in_use', { host, port }, { cause: error })
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'EACCES' || error.code === 'ENOTFOUND')
    return new OctoflowError('address_unusable', { host, port, reason: error.message }, { cause: error })
  return error
}
