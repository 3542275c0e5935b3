import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { RequestSource } from '../../../model/request.ts'
import type { HttpContext } from '../../context.ts'
import { Paging } from '../../cursor.ts'
import { misfit } from '../../validation.ts'
import { sendWithEtag } from './etag.ts'
import { problems } from './problems.ts'
import { readId, readInstant, readList } from './read.ts'
import { requestText } from './wire.ts'

type ListQuery = Static<typeof wire.RequestListQuery>

/** What came in. */
export async function requestRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { requests } = context
  const tags = ['requests']

  app.get<{ Querystring: ListQuery }>(
    '/requests',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listRequests',
        summary: 'List requests',
        querystring: wire.RequestListQuery,
        response: { 200: wire.RequestList, ...problems },
      },
    },
    async ({ query, principal }, reply) => {
      const { limit, cursor, order, ...filterQuery } = query
      const paging = new Paging('requests', filterQuery)
      const page = paging.request({ limit, cursor, order })
      const found = await requests.list(readFilter(filterQuery), page, principal.queues)
      reply.type('application/json; charset=utf-8')
      return `{"items":[${found.items.map(requestText).join()}],"next":${JSON.stringify(paging.next(found, page))}}`
    },
  )

  app.get<{ Params: { id: string } }>(
    '/requests/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getRequest',
        summary: 'Read a request',
        response: { 200: wire.CapturedRequest, ...problems },
      },
    },
    async (request, reply) => {
      const found = await requests.find(readId(request.params.id, 'request_not_found'), request.principal.queues)
      return sendWithEtag(request, reply, requestText(found))
    },
  )
}

function readFilter({ queue, source, createdFrom, createdTo, text }: Omit<ListQuery, 'limit' | 'cursor' | 'order'>) {
  const known = Object.values(RequestSource).find((name) => name === source)
  if (source !== undefined && known === undefined)
    throw misfit('query', 'source', `must be one of ${Object.values(RequestSource).join(', ')}`)
  return {
    queues: readList(queue),
    source: known,
    createdFrom: createdFrom === undefined ? undefined : readInstant(createdFrom, 'createdFrom', 'query'),
    createdTo: createdTo === undefined ? undefined : readInstant(createdTo, 'createdTo', 'query'),
    text,
  }
}
