import type { FastifyInstance } from 'fastify'
import { inTerms } from '../../../core/log-events/log-events.ts'
import type { HttpContext } from '../../context.ts'
import { misfit } from '../../validation.ts'
import { last, type Query, readFilter } from './query.ts'
import * as schemas from './schemas.ts'

/** Deleting events. */
export async function deletionRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.delete<{ Querystring: Query }>(
    '/v1/events',
    {
      config: { access: 'operator' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'deleteLogEvents',
        summary: 'Delete all events that match a filter',
        description:
          'Concerns the events that are there now. Runs on in the server; read the operation to follow, delete it to abort. Without any ' +
          'filter, `all=true` has to say that all events are meant. A parameter that is none is refused: a filter with a slip of the pen ' +
          'would delete more than it names.',
        querystring: schemas.DeletionQuery,
        response: { 202: schemas.Deletion, ...schemas.errors },
      },
    },
    async ({ query, principal }, reply) => {
      const unknown = Object.keys(query).find((name) => !Object.hasOwn(schemas.DeletionQuery.properties, name))
      if (unknown !== undefined) throw misfit('query', unknown, 'Extra inputs are not permitted')
      const filter = readFilter(query)
      const isBare = Object.values(filter).every((value) => value === undefined)
      if (isBare && last(query, 'all') !== 'true')
        throw misfit('query', 'all', "Input should be 'true' where there is no filter")
      const { id } = await context.operations.startDeletingLogEvents(inTerms(filter), principal)
      const location = `/api/v1/operations/${id}`
      return reply.code(202).header('location', location).send({ operation: id, location })
    },
  )
}
