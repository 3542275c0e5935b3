import * as wire from '@octoflow/protocol'
import { type Static, Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { HttpContext } from '../../context.ts'
import { NamePaging } from '../../cursor.ts'
import { isTooLong } from '../../queue-name.ts'
import { sendWithEtag, versionOf } from './etag.ts'
import { problems } from './problems.ts'
import { fromQueueChange, toQueue } from './wire.ts'

const ListQuery = Type.Object(wire.NamePageQuery, { additionalProperties: false })
type ListQuery = Static<typeof ListQuery>

/** Queues and their settings. */
export async function queueRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { queues } = context
  const tags = ['queues']

  app.get<{ Querystring: ListQuery }>(
    '/queues',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listQueues',
        summary: 'List queues with their counts',
        querystring: ListQuery,
        response: { 200: wire.QueueList, ...problems },
      },
    },
    async ({ query, principal }) => {
      const paging = new NamePaging('queues')
      const page = paging.request({ ...query, order: query.order ?? 'asc' })
      const found = await queues.list(page, principal.queues)
      return { items: found.items.map(toQueue), next: paging.next(found, page) }
    },
  )

  app.get<{ Params: { queue: string } }>(
    '/queues/:queue',
    {
      config: { access: 'viewer' },
      schema: { tags, operationId: 'getQueue', summary: 'Read a queue', response: { 200: wire.Queue, ...problems } },
    },
    async (request, reply) => {
      const served = await queues.find(request.params.queue, request.principal.queues)
      return sendWithEtag(request, reply, JSON.stringify(toQueue(served)), String(served.queue.version))
    },
  )

  app.patch<{ Params: { queue: string }; Body: wire.QueueChange }>(
    '/queues/:queue',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'updateQueue',
        summary: 'Change a queue’s settings',
        description: 'Makes the queue if it is new. With `If-Match`, only if its settings are still those of that `ETag`.',
        body: wire.QueueChange,
        response: { 200: wire.Queue, ...problems },
      },
    },
    async (request, reply) => {
      const { queue: name } = request.params
      if (isTooLong(name)) throw new OctoflowError('queue_not_found', { queue: name })
      const served = await queues.configure(name, fromQueueChange(request.body), versionOf(request), request.principal)
      return sendWithEtag(request, reply, JSON.stringify(toQueue(served)), String(served.queue.version))
    },
  )
}
