import { Type } from '@octoflow/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { inTerms } from '../../../core/log-events/log-events.ts'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { misfit } from '../../validation.ts'
import { last, type Query, readFilter, readPage, readSize } from './query.ts'
import * as schemas from './schemas.ts'

const LARGEST_BATCH = 1_000

interface Reading {
  Querystring: Query
}

interface ReadingOne {
  Params: { readonly id: string }
}

/** Storing events, giving them back, deleting them. */
export async function eventRoutes(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  const { logEvents, operations } = context
  const isPublic = options.publicApis.includes('log-events')
  const toRead = { access: isPublic ? 'public' : 'viewer' } as const
  const toStore = { access: isPublic ? 'public' : 'producer' } as const
  const { TAGS: tags, errors } = schemas

  for (const [url, status] of [
    ['/v1/events', 200],
    ['/v1/events/insert', 201],
  ] as const)
    app.post(
      url,
      {
        config: toStore,
        schema: {
          tags,
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

  app.get<Reading>(
    '/v1/events/all',
    {
      config: toRead,
      schema: {
        tags,
        summary: 'Read the oldest events',
        querystring: schemas.AllQuery,
        response: { 200: Type.Array(schemas.StoredEvent), ...errors },
      },
    },
    async ({ query }, reply) => {
      const { events } = await logEvents.list({}, { order: 'asc', after: 0, limit: readSize(query, 10) })
      reply.type(schemas.JSON_TYPE)
      return toArray(events)
    },
  )

  app.get<Reading>(
    '/v1/events',
    {
      config: toRead,
      schema: {
        tags,
        summary: 'Read events page by page',
        description:
          'In order of time. Any page costs the same. With a filter on a field, `total` counts up to 10,000 events; `total_exact` tells ' +
          'whether there may be more.',
        querystring: schemas.PageQuery,
        response: { 200: schemas.Page, ...errors },
      },
    },
    async ({ query }, reply) => {
      const { filter, order, size, from, after, cursorTo } = readPage(query)
      const [{ events, next }, total] = await Promise.all([
        logEvents.list(filter, { order, after, limit: size }),
        logEvents.count(filter),
      ])
      reply.type(schemas.JSON_TYPE)
      const rest = JSON.stringify({ size, from, total: total.count, total_exact: total.exact, next: cursorTo(next) })
      return `{"events":${toArray(events)},${rest.slice(1)}`
    },
  )

  const readOne = async ({ params }: FastifyRequest<ReadingOne>, reply: FastifyReply): Promise<string> => {
    const event = await logEvents.find(params.id)
    reply.type(schemas.JSON_TYPE)
    return event
  }
  for (const url of ['/v1/events/:id', '/v1/events/get/:id', '/v1/event/get/:id'])
    app.get<ReadingOne>(
      url,
      { config: toRead, schema: { tags, summary: 'Read an event', response: { 200: schemas.StoredEvent, ...errors } } },
      readOne,
    )

  app.delete<Reading>(
    '/v1/events',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Delete all events that match a filter',
        description:
          'Concerns the events that are there now. Runs on in the server; read the operation to follow, delete it to abort. Without any ' +
          'filter, `all=true` has to say that all events are meant. A parameter that is none is refused: a filter with a slip of the pen ' +
          'would delete more than it names.',
        querystring: schemas.DeletionQuery,
        response: { 202: schemas.Deletion, ...errors },
      },
    },
    async ({ query, principal }, reply) => {
      const unknown = Object.keys(query).find((name) => !Object.hasOwn(schemas.DeletionQuery.properties, name))
      if (unknown !== undefined) throw misfit('query', unknown, 'Extra inputs are not permitted')
      const filter = readFilter(query)
      const isBare = Object.values(filter).every((value) => value === undefined)
      if (isBare && last(query, 'all') !== 'true')
        throw misfit('query', 'all', "Input should be 'true' where there is no filter")
      const { id } = await operations.startDeletingLogEvents(inTerms(filter), principal)
      const location = `/api/v1/operations/${id}`
      return reply.code(202).header('location', location).send({ operation: id, location })
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

const toArray = (events: readonly { readonly document: string }[]): string =>
  `[${events.map(({ document }) => document).join()}]`
