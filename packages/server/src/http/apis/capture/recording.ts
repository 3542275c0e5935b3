import type { Static } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { Incoming } from '../../../core/jobs/intake.ts'
import { QUEUE_NAME_LENGTH } from '../../../model/queue.ts'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { idempotencyKey } from '../../idempotency-key.ts'
import { isTooLong } from '../../queue-name.ts'
import { toTrust } from '../../trust-proxy.ts'
import { compileValidator, misfit } from '../../validation.ts'
import { keptHeaders } from './kept-headers.ts'
import { receiveBody } from './received-body.ts'
import * as schemas from './schemas.ts'

const BYTES = 'application/octet-stream'

/** What a body may be, for the documentation; it may be anything else, too. */
const ANY_TYPE = ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain', BYTES] as const

/** https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1 */
const MEDIA_TYPE = /^\s*[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;|$)/

/** `POST /request`, in a scope of its own because it takes any body. */
export async function recording(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  app.removeAllContentTypeParsers()
  // Fastify parses the content type of each request that has no parser but `*`, so what most requests are is named.
  for (const type of ['application/json', '*'])
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onRequest', (request, _reply, done) => {
    const contentType = request.headers['content-type']
    // Fastify refuses what is no content type before it looks for a parser. What was sent still stands in `raw.headers`.
    if (contentType !== undefined && !MEDIA_TYPE.test(contentType)) request.headers = { 'content-type': BYTES }
    done()
  })
  const trusts = toTrust(options.trustProxy)

  app.post<{ Querystring: Static<typeof schemas.CustomValueQuery>; Body: Buffer | undefined }>(
    '/request',
    {
      config: { access: 'producer' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'captureRequest',
        summary: 'Record a request and make a job of it',
        description: 'Takes any body. With a `custom_value`, in the query or as a field of a JSON body, a job is made.',
        querystring: schemas.CustomValueQuery,
        consumes: [...ANY_TYPE],
        body: schemas.AnyBody,
        response: { 200: schemas.Captured, ...schemas.errors('Invalid or missing authorization') },
      },
      validatorCompiler: (part) => (part.httpPart === 'body' ? () => true : compileValidator(part as never)),
    },
    async (request, reply) => {
      const { principal } = request
      const { headers } = request.raw
      const contentType = headers['content-type']
      const body = await receiveBody(contentType, request.body)
      const incoming: Incoming = {
        source: 'capture',
        sourceIp: request.ip,
        userAgent: headers['user-agent'] ?? null,
        method: request.method,
        url: `${request.protocol}://${request.host}${request.url}`,
        headers: keptHeaders(headers, trusts(request.socket.remoteAddress ?? '', 0)),
        contentType: contentType ?? null,
        body: body.text,
        queue: queueName(request.query.custom_value || body.customValue),
        job: null,
      }
      const key = idempotencyKey(request, 'capture')
      const { id, hasJob } = await context.intake.accept(incoming, key === null ? null : { key, fingerprint: null }, principal)
      reply.type(schemas.JSON_TYPE)
      return hasJob
        ? `{"message":"Request processed successfully","id":${id},"job_id":${id}}`
        : `{"message":"Request processed successfully","id":${id}}`
    },
  )
}

function queueName(customValue: string | null): string | null {
  if (customValue !== null && isTooLong(customValue))
    throw misfit('body', 'custom_value', `must not have more than ${QUEUE_NAME_LENGTH} characters`)
  if (customValue?.isWellFormed() === false) throw misfit('body', 'custom_value', 'must not hold half of a character')
  return customValue === '' ? null : customValue
}
