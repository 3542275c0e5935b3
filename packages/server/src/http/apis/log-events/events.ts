import { Type } from '@octoflow/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { type Query, readPage, readSize } from './query.ts'
import * as schemas from './schemas.ts'

interface Reading {
  Querystring: Query
}

interface ReadingOne {
  Params: { readonly id: string }
}

/** Giving events back. */
export async function eventRoutes(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  const { logEvents } = context
  const toRead = { access: options.publicApis.includes('log-events') ? 'public' : 'viewer' } as const
  const { TAGS: tags, errors } = schemas

  app.get<Reading>(
    '/v1/events/all',
    {
      config: toRead,
      schema: {
        tags,
        operationId: 'listOldestLogEvents',
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
        operationId: 'listLogEvents',
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
  for (const [url, operationId] of [
    ['/v1/events/:id', 'getLogEvent'],
    ['/v1/events/get/:id', 'getLogEventOfEvents'],
    ['/v1/event/get/:id', 'getLogEventOfEvent'],
  ] as const)
    app.get<ReadingOne>(
      url,
      {
        config: toRead,
        schema: { tags, operationId, summary: 'Read an event', response: { 200: schemas.StoredEvent, ...errors } },
      },
      readOne,
    )
}

const toArray = (events: readonly { readonly document: string }[]): string =>
  `[${events.map(({ document }) => document).join()}]`
