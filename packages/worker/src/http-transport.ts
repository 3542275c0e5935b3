import type { Problem } from '@octoflow/protocol'
import type { Dispatcher, Pool } from 'undici'
import {
  type Beats,
  type Claim,
  type ClaimParams,
  type EventParams,
  type HeartbeatParams,
  type Report,
  type Reported,
  type ReportParams,
  type Transport,
  TransportError,
  type TransportErrorKind,
} from './transport.ts'
import { VERSION } from './version.ts'
import { messageOf } from './worker-error.ts'

const USER_AGENT = `octoflow-worker/${VERSION}`

/** How long an answer may take beyond the time that the server was asked to wait. */
const ANSWER_WITHIN_MS = 30_000

export interface HttpTransportOptions {
  /** Where the server is; a path is put before that of every call. */
  readonly url: URL
  /** Sent as a bearer credential; `null` for a server without authentication. */
  readonly authorizationKey: string | null
}

interface Call {
  readonly path: string
  readonly body: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Speaks the native API over kept-alive connections. */
export class HttpTransport implements Transport {
  readonly #origin: string
  readonly #prefix: string
  readonly #headers: Readonly<Record<string, string>>
  #pool: Promise<Pool> | null = null
  #closed = false

  constructor({ url, authorizationKey }: HttpTransportOptions) {
    this.#origin = url.origin
    this.#prefix = url.pathname.replace(/\/+$/, '')
    this.#headers = {
      'content-type': 'application/json',
      'user-agent': USER_AGENT,
      ...(authorizationKey === null ? {} : { authorization: `Bearer ${authorizationKey}` }),
    }
  }

  async claim({ queue, signal, workerId, limit, waitSeconds, leaseSeconds }: ClaimParams): Promise<Claim> {
    const answer = await this.#call({
      path: `/api/v1/queues/${encodeURIComponent(queue)}/claim`,
      body: JSON.stringify({ workerId, limit, waitSeconds, leaseSeconds }),
      timeoutMs: waitSeconds * 1_000 + ANSWER_WITHIN_MS,
      signal,
    })
    return this.#withJobs<Claim>(answer)
  }

  async heartbeat({ signal, leaseSeconds, ...rest }: HeartbeatParams): Promise<Beats> {
    const answer = await this.#call({
      path: '/api/v1/jobs/heartbeat',
      body: JSON.stringify({ ...rest, leaseSeconds }),
      // A call that hangs must leave time for another before the leases end.
      timeoutMs: Math.min(ANSWER_WITHIN_MS, leaseSeconds * 500),
      signal,
    })
    return this.#withJobs<Beats>(answer)
  }

  async report({ signal, workerId, jobs }: ReportParams): Promise<Reported> {
    const body = `{"workerId":${JSON.stringify(workerId)},"jobs":[${jobs.map(reportJson).join()}]}`
    const answer = await this.#call({ path: '/api/v1/jobs/report', body, timeoutMs: ANSWER_WITHIN_MS, signal })
    return this.#withJobs<Reported>(answer)
  }

  async event({ id, events, signal }: EventParams): Promise<void> {
    const body = JSON.stringify(events.length === 1 ? events[0] : { events })
    await this.#call({ path: `/api/v1/jobs/${id}/events`, body, timeoutMs: ANSWER_WITHIN_MS, signal })
  }

  async close(): Promise<void> {
    this.#closed = true
    await (await this.#pool)?.destroy()
  }

  async #call({ path, body, timeoutMs, signal }: Call): Promise<unknown> {
    const hangUp = new AbortController()
    const onAbort = (): void => hangUp.abort(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    try {
      const pool = await this.#connect()
      const answer = await pool.request({
        path: this.#prefix + path,
        method: 'POST',
        headers: this.#headers,
        body,
        headersTimeout: timeoutMs,
        bodyTimeout: ANSWER_WITHIN_MS,
        signal: hangUp.signal,
      })
      // An answer that has begun is read to its end: jobs may be in it that nobody else can have.
      signal.removeEventListener('abort', onAbort)
      return this.#read(answer.statusCode, answer.headers, await answer.body.text())
    } catch (error) {
      if (error instanceof TransportError) throw error
      throw new TransportError('unavailable', 'unreachable', `${this.#origin} cannot be reached: ${reasonOf(error)}`, {
        cause: error,
      })
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Loaded here because it takes 60 to 90 ms, which a worker that runs inside the server need not wait for. */
  async #connect(): Promise<Pool> {
    if (this.#closed) throw new TransportError('unavailable', 'closed', 'The connection to the server is closed.')
    this.#pool ??= import('undici').then(({ Pool }) => new Pool(this.#origin, { allowH2: false }))
    return this.#pool
  }

  #read(status: number, headers: Headers, text: string): unknown {
    if (status >= 200 && status < 300) return text === '' ? null : this.#parse(text)
    throw this.#refusal(status, headers, text)
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch (error) {
      throw this.#badAnswer(error)
    }
  }

  #withJobs<Answer extends { readonly jobs: readonly unknown[] }>(answer: unknown): Answer {
    if (typeof answer === 'object' && answer !== null && Array.isArray((answer as Partial<Answer>).jobs))
      return answer as Answer
    throw this.#badAnswer(null)
  }

  #badAnswer(cause: unknown): TransportError {
    const message = `What answers at ${this.#origin} does not answer as an Octoflow server. Check the worker’s url.`
    return new TransportError('misdirected', 'bad_answer', message, { cause })
  }

  #refusal(status: number, headers: Headers, text: string): TransportError {
    const problem = problemIn(text)
    const said =
      problem === null ? '' : ` ${[problem.detail, problem.hint].filter((part) => typeof part === 'string').join(' ')}`
    const kind = kindOf(status, problem?.code ?? null)
    const code = problem?.code ?? `http_${status}`
    const message = `${this.#origin} answered ${status} (${code}).${said === '' ? HINTS[kind] : said}`
    return new TransportError(kind, code, message, { retryAfterMs: retryAfterMs(headers['retry-after']) })
  }
}

type Headers = Dispatcher.ResponseData['headers']

const HINTS: Readonly<Record<TransportErrorKind, string>> = {
  refused: ' Give the worker a valid key as its authorizationKey.',
  rejected: '',
  misdirected: ' That is not how an Octoflow server answers: check the worker’s url.',
  unavailable: '',
}

/** @param problem the code that an Octoflow server gave; `null` if none did. */
function kindOf(status: number, problem: string | null): TransportErrorKind {
  if (status === 401 || status === 403) return 'refused'
  if (status >= 500 || status === 408 || status === 425 || status === 429) return 'unavailable'
  // A server that does not know the routes of workers is not the one that was meant, or not under this path.
  if (problem === 'not_found') return 'misdirected'
  // A proxy may judge the size and form of what it passes on; with anything else it speaks for itself.
  if (problem !== null || status === 400 || status === 413 || status === 422) return 'rejected'
  return 'misdirected'
}

/** The result is put in as the text it is. */
function reportJson({ resultJson, ...report }: Report): string {
  const text = JSON.stringify(report)
  return resultJson === undefined ? text : `${text.slice(0, -1)},"result":${resultJson}}`
}

/** @returns `null` for what is not an Octoflow server's error. */
function problemIn(text: string): Partial<Problem> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && typeof (value as Partial<Problem>).code === 'string' ? value : null
  } catch {
    return null
  }
}

/** Seconds, or a date. */
function retryAfterMs(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string') return null
  const seconds = Number(header)
  const milliseconds = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1_000
  return Number.isNaN(milliseconds) ? null : Math.max(0, milliseconds)
}

/** Where a name has several addresses, the error for them all has no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(messageOf).join(', ')
  return messageOf(error)
}
