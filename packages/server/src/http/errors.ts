import type { Problem } from '@octoflow/protocol'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorCode } from '../errors/catalogue.ts'
import { isOctoflowError, OctoflowError } from '../errors/octoflow-error.ts'
import { lingerAfterAnswer } from './linger.ts'
import { InvalidInput } from './validation.ts'

/** Answers what was thrown in the form of RFC 9457. */
export function answerWithProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = prepareAnswer(thrown, request, reply)
  reply.type('application/problem+json').send(JSON.stringify({ ...toProblem(error), instance: request.id }))
}

/** Answers what was thrown as `{"message": …}`. @param words what to say instead of the catalogue's words. */
export function answerWithMessage(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  words: Readonly<Partial<Record<ErrorCode, string>>> = {},
): void {
  const error = prepareAnswer(thrown, request, reply)
  reply.send({ message: words[error.code] ?? messageOf(error) })
}

/** Answers what was thrown as `{"detail": …}`: a list of what does not fit, else a text. @param words as in `answerWithMessage`, with details. */
export function answerWithDetail(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  words: Readonly<Partial<Record<ErrorCode, string>>> = {},
): void {
  const error = prepareAnswer(thrown, request, reply)
  if (error instanceof InvalidInput) {
    const part = error.code === 'invalid_body' ? 'body' : 'query'
    reply.send({
      detail: error.misfits.map(({ path, message }) => `${message} found in ('${part}',${path === '' ? '' : ` '${path}'`})`),
    })
    return
  }
  const text =
    words[error.code]?.replace(/\{(\w+)\}/g, (_, name: string) => shorten(String(error.details[name]))) ?? messageOf(error)
  reply.send({ detail: error.entry.status === 400 ? [text] : text })
}

/** Sets status and headers, which do not depend on the form. */
function prepareAnswer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): OctoflowError {
  const error = toOctoflowError(thrown, request)
  if (error.code === 'internal') request.log.error({ err: thrown, requestId: request.id }, 'unexpected error')
  const wait = retryAfter(error)
  if (wait !== null) reply.header('retry-after', wait)
  if (error.entry.status === 401) reply.header('www-authenticate', 'Bearer')
  // Fastify closes the connection whenever a body cannot be parsed. That is needed only where it is too large to be read.
  if (error.code === 'body_too_large') lingerAfterAnswer(request.raw)
  else reply.removeHeader('connection')
  reply.code(error.entry.status)
  return error
}

/** Says in Octoflow's terms what Fastify, Node or our own code threw. Anything unexpected is `internal`. */
function toOctoflowError(error: unknown, request: FastifyRequest): OctoflowError {
  if (isOctoflowError(error)) return error
  const known = fromFastify(error as Partial<FastifyError>, request)
  return known ?? new OctoflowError('internal', { requestId: request.id }, { cause: error })
}

function fromFastify(error: Partial<FastifyError>, request: FastifyRequest): OctoflowError | null {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new OctoflowError('body_too_large', { limit: request.routeOptions.bodyLimit ?? null }, { cause: error })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE': {
      const contentType = request.headers['content-type']
      const shown = contentType === undefined ? '(none was sent)' : shorten(contentType)
      return new OctoflowError('unsupported_media_type', { contentType: shown }, { cause: error })
    }
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new OctoflowError(
        'malformed_request',
        { reason: 'the body is not as long as Content-Length says' },
        { cause: error },
      )
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new OctoflowError('invalid_json', { reason: 'it is empty' }, { cause: error })
    case 'FST_ERR_BAD_URL':
      return new OctoflowError('malformed_request', { reason: 'the path is not valid percent-encoding' }, { cause: error })
    case 'FST_ERR_MAX_PARAM_LENGTH':
    // A path that would lead out of the directory of static files, or has a NUL in it.
    case 'FST_STATIC_FORBIDDEN_PATH':
      return new OctoflowError('not_found', { path: shorten(request.url) }, { cause: error })
    case 'ECONNRESET':
      // The client's connection, if it is gone; another's otherwise.
      if (!request.raw.destroyed) return null
      return new OctoflowError('malformed_request', { reason: 'the connection ended before the body did' }, { cause: error })
    default:
      return null
  }
}

/** What a client sent may be long; more than this of it tells it nothing more. */
const SHOWN = 200

export const shorten = (text: string, shown: number = SHOWN): string =>
  text.length > shown ? `${text.slice(0, shown)}…` : text

/** An error's words, which may have an id as long as a request line in them. */
const LONGEST_MESSAGE = 2_000
const messageOf = ({ message }: OctoflowError): string => shorten(message, LONGEST_MESSAGE)

/** The answer to what is not even a request, and so belongs to no API: in all their forms at once. */
export const toAnyForm = (error: OctoflowError): string => JSON.stringify({ ...toProblem(error), message: error.message })

function toProblem(error: OctoflowError): Problem {
  const { entry, code, hint } = error
  return {
    type: `/docs/errors#${code}`,
    title: code.replaceAll('_', ' '),
    status: entry.status,
    code,
    detail: messageOf(error),
    hint,
    ...(error instanceof InvalidInput && { errors: [...error.misfits] }),
  }
}

/** Seconds after which a retryable call is worth repeating; `null` where the header says nothing useful. */
function retryAfter({ entry, details }: OctoflowError): number | null {
  if (typeof details.retryAfter === 'number') return details.retryAfter
  return entry.retryable && (entry.status === 503 || entry.status === 507) ? 2 : null
}
