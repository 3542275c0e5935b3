import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { misfit } from '../../validation.ts'
import * as schemas from './schemas.ts'

const LARGEST_BATCH = 1_000

/** Storing events. */
export async function storingRoutes(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  const { logEvents } = context
  const toStore = { access: options.publicApis.includes('log-events') ? 'public' : 'producer' } as const
  const { TAGS: tags, errors } = schemas

  for (const [url, status, operationId] of [
    ['/v1/events', 200, 'storeLogEvents'],
    ['/v1/events/insert', 201, 'insertLogEvents'],
  ] as const)
    app.post(
      url,
      {
        config: toStore,
        schema: {
          tags,
          operationId,
          summary: 'Store events',
          description: 'Up to 1,000 events of any types. Each is answered for itself, in order: a bad one fails alone.',
          body: Type.Array(schemas.eventSchema(logEvents.types), {
            minItems: 1,
            maxItems: LARGEST_BATCH,
            examples: [schemas.EXAMPLES],
          }),
          response: { [status]: schemas.Results, ...errors },
        },
      },
      async ({ body, rawBody }, reply) => {
        const values = toBatch(body)
        const logged = await logEvents.append(values, rawBody ?? '')
        reply.code(status).type(schemas.JSON_TYPE)
        return `[${logged.map((fault, index) => result(values[index], fault)).join()}]`
      },
    )
}

/** @throws `invalid_body` in the words of the validation that clients know. */
function toBatch(body: unknown): readonly unknown[] {
  if (!Array.isArray(body)) throw misfit('body', '', 'Input should be a valid list')
  if (body.length === 0) throw misfit('body', '', 'List should have at least 1 item after validation, not 0')
  if (body.length > LARGEST_BATCH)
    throw misfit('body', '', `List should have at most ${LARGEST_BATCH} items after validation, not ${body.length}`)
  return body
}

function result(value: unknown, fault: string | null): string {
  const id = (value as { readonly event_id?: unknown } | null)?.event_id
  const text = typeof id === 'string' ? JSON.stringify(id) : '""'
  return `{"event_id":${text},"success":${fault === null},"error":"${fault ?? ''}"}`
}
