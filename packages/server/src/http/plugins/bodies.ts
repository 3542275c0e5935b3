import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { OctoflowError } from '../../errors/octoflow-error.ts'

/**
 * Reads JSON bodies. The text is kept beside the value as `request.rawBody`, so that what a client sent can be stored as it
 * was sent. An empty body is none: many clients name a content type also where they send nothing.
 */
export function parseJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  for (const type of ['application/json', /^application\/[\w.-]+\+json$/])
    app.addContentTypeParser(type, { parseAs: 'buffer' }, parseBody)
}

function parseBody(request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void): void {
  if (body.length === 0) {
    done(null, null)
    return
  }
  try {
    const text = toText(body)
    request.rawBody = text
    done(null, parseJson(text))
  } catch (error) {
    done(error as Error)
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The JSON text of the body; `null` without one. */
    rawBody: string | null
  }
}

/** @throws `invalid_json` */
export function toText(body: Buffer): string {
  if (!isUtf8(body)) throw new OctoflowError('invalid_json', { reason: 'it is not valid UTF-8' })
  const text = body.toString('utf8')
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

/** @throws `invalid_json` */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new OctoflowError(
      'invalid_json',
      { reason: text === '' ? 'it is empty' : reasonOf(error as Error, text) },
      { cause: error },
    )
  }
}

/** V8's message without the quotation of the body, which may hold what should not be repeated. */
function reasonOf({ message }: Error, text: string): string {
  const position = /at position (\d+)/.exec(message)?.[1]
  if (position === undefined) {
    const token = /^Unexpected token '(.)'/su.exec(message)?.[1]
    return token === undefined ? 'it ends too early' : `it has an unexpected ${JSON.stringify(token)}`
  }
  if (Number(position) === text.length) return 'it ends too early'
  const before = text.slice(0, Number(position)).split('\n')
  return `line ${before.length}, column ${before.at(-1)!.length + 1} is not what JSON has there`
}
