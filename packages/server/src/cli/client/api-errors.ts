import type { Problem } from '@octoflow/protocol'
import type { ErrorCode } from '../../errors/catalogue.ts'
import { VERSION } from '../../version.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode, exitCodeOfStatus } from '../exit-code.ts'
import type { ServerAddress } from './find-server.ts'

/** An answer of the server that is an error. */
export class RefusedError extends CommandError {
  readonly status: number

  constructor(status: number, code: string, message: string, hint: string) {
    super(exitCodeOfStatus(status), message, hint, { code })
    this.status = status
  }
}

/** What an answer that is no success means. @param hasDetail whether the API says so as `{"detail": …}`. */
export function refused(address: ServerAddress, status: number, text: string, hasDetail = false): CommandError {
  const problem = hasDetail ? detailIn(text, status) : problemIn(text)
  if (problem === null) return misdirected(address, status)
  const { code, detail, hint } = problem
  if (code !== 'unauthorized') return new RefusedError(status, code, detail, HINTS[code] ?? hint)
  return new RefusedError(status, code, keyRefused(address), address.key === null ? GIVE_KEY : GIVE_ANOTHER_KEY)
}

/** What it means that the server accepts no credential. */
export const keyRefused = ({ url, key, keyFrom }: ServerAddress): string =>
  key === null
    ? `The server at ${url} asks for a key, and none was found.`
    : `The server at ${url} does not accept the key from ${keyFrom}.`

const GIVE_KEY =
  'Give one with --key or OCTOFLOW_KEY. The server says at its start where its own key lies; --data names its data directory.'
const GIVE_ANOTHER_KEY =
  'Give another with --key or OCTOFLOW_KEY. The server says at its start where its own key lies; `octoflow keys create` makes more.'

const TELLS_WHAT_FITS = 'Run the command with --help for its arguments and options.'

/** Where the server's own hint names a route, the command. */
const HINTS: { readonly [Code in ErrorCode]?: string } & Readonly<Record<string, string>> = {
  invalid_body: TELLS_WHAT_FITS,
  invalid_query: TELLS_WHAT_FITS,
  dead_letter_not_found: 'It was run again already, or it never was one; `octoflow dead list` lists those that there are.',
  queue_not_found: '`octoflow queues list` lists them; the first job makes one, and so does `octoflow queues set`.',
  worker_not_found: '`octoflow workers list` lists those that were heard of lately.',
  operation_not_found: '`octoflow operations list` lists them.',
  key_not_found: '`octoflow keys list` lists them.',
  job_finished: 'A finished job keeps its outcome; `octoflow jobs retry` runs it again.',
}

/** An error of the connection, or of a server that is starting or stopping. */
export const isPassing = (error: unknown): boolean =>
  error instanceof RefusedError
    ? error.status >= 500
    : !(error instanceof CommandError) || error.exitCode === ExitCode.unreachable

/** How proxies say that what lies behind them does not answer. */
const OF_PROXIES: readonly number[] = [502, 503, 504]

/** Something answers, but not as Octoflow would. */
export function misdirected({ url, urlFrom }: ServerAddress, status: number): CommandError {
  if (OF_PROXIES.includes(status))
    return new CommandError(
      ExitCode.unreachable,
      `What answers at ${url} (from ${urlFrom}) is a proxy that reaches no server: status ${status}.`,
      'Look whether the server runs, and whether the proxy leads to it; or name another with --url or OCTOFLOW_URL.',
    )
  return new CommandError(
    ExitCode.unreachable,
    `What answers at ${url} (from ${urlFrom}) is not an Octoflow server: status ${status}.`,
    'Name the server with --url or OCTOFLOW_URL; it says its address at its start.',
  )
}

/** The server is Octoflow, but not the one that this command line was made for. */
export const ofAnotherVersion = ({ url }: ServerAddress, version: string, reason: string, code: string): CommandError =>
  new CommandError(
    ExitCode.failed,
    `The server at ${url} has version ${version} and this command line ${VERSION}, which do not fit together: ${reason}`,
    'Use the command line of the server’s version, or update the server.',
    { code },
  )

export function unreachable({ url, urlFrom }: ServerAddress, error: unknown): CommandError {
  const { reason, certificate } = describeFetchFailure(error)
  const message = `No server answers at ${url} (from ${urlFrom}): ${reason}.`
  return new CommandError(ExitCode.unreachable, message, certificate ? TRUST : START, { cause: error })
}

const START = 'Start one with `octoflow serve`, or name another with --url or OCTOFLOW_URL.'
const TRUST =
  'Name the authority that signed it with NODE_EXTRA_CA_CERTS=file.pem, and use a host name that the certificate is for.'

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was closed',
  UND_ERR_SOCKET: 'the connection was closed',
  ENOTFOUND: 'the host is not known',
  EAI_AGAIN: 'the host’s address cannot be looked up now',
  ETIMEDOUT: 'it takes too long',
  UND_ERR_CONNECT_TIMEOUT: 'it takes too long',
  TimeoutError: 'it takes too long',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
}

/** What keeps a server from answering, in a few words; `certificate`: it is there, but not to be trusted. */
export function describeFetchFailure(error: unknown): { readonly reason: string; readonly certificate: boolean } {
  const { code, message } = innermost(error)
  if (/CERT|SSL|TLS/.test(code)) return { reason: `its certificate is not trusted (${code})`, certificate: true }
  return { reason: REASONS[code] ?? message, certificate: false }
}

/** `fetch` hides what happened in the cause of its error. */
function innermost(error: unknown): { readonly code: string; readonly message: string } {
  let inner = error
  while (inner instanceof Error && (inner.cause instanceof Error || inner instanceof AggregateError))
    inner = inner instanceof AggregateError ? inner.errors[0] : inner.cause
  const { code, name, message } = inner as { readonly code?: unknown; readonly name?: string; readonly message?: string }
  return { code: typeof code === 'string' ? code : (name ?? ''), message: message ?? String(inner) }
}

type Refusal = Pick<Problem, 'code' | 'detail' | 'hint'>

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  413: 'body_too_large',
  503: 'storage_unavailable',
}

/** What the log events API says is wrong. */
function detailIn(text: string, status: number): Refusal | null {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: string | readonly string[] }
    return detail === undefined
      ? null
      : { code: CODES[status] ?? 'invalid_query', detail: [detail].flat().join('; '), hint: '' }
  } catch {
    return null
  }
}

/** @returns `null` for what is not an Octoflow server's error. */
function problemIn(text: string): Refusal | null {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null
    return typeof value?.code === 'string' && typeof value.detail === 'string' ? ({ hint: '', ...value } as Problem) : null
  } catch {
    return null
  }
}
