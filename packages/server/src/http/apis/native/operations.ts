import * as wire from '@octoflow/protocol'
import { type Static, Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { Paging } from '../../cursor.ts'
import { problems } from './problems.ts'
import { readFilter, readId } from './read.ts'
import { toOperation } from './wire.ts'

const ListQuery = Type.Object(wire.PageQuery, { additionalProperties: false })

/** Acting on all jobs that match a filter. */
export async function operationRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { operations } = context
  const tags = ['operations']

  app.post<{ Body: wire.StartOperation }>(
    '/operations',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'startOperation',
        summary: 'Act on all jobs that match a filter',
        description:
          'Concerns the jobs that exist now, each once. Runs on in the server; read it to follow, delete it to abort.',
        body: wire.StartOperation,
        response: { 202: wire.Operation, ...problems },
      },
    },
    async ({ body, principal }, reply) => {
      const operation = await operations.start(body.action, readFilter(body.filter), principal)
      return reply.code(202).header('location', `/api/v1/operations/${operation.id}`).send(toOperation(operation))
    },
  )

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/operations',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listOperations',
        summary: 'List operations',
        querystring: ListQuery,
        response: { 200: wire.OperationList, ...problems },
      },
    },
    async ({ query, principal }) => {
      const paging = new Paging('operations')
      const page = paging.request(query)
      const found = await operations.list(page, principal.queues)
      return { items: found.items.map(toOperation), next: paging.next(found, page) }
    },
  )

  app.get<{ Params: { id: string } }>(
    '/operations/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getOperation',
        summary: 'How far an operation has got',
        response: { 200: wire.Operation, ...problems },
      },
    },
    async ({ params, principal }) =>
      toOperation(await operations.find(readId(params.id, 'operation_not_found'), principal.queues)),
  )

  app.delete<{ Params: { id: string } }>(
    '/operations/:id',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'abortOperation',
        summary: 'Abort an operation',
        description: 'What it has done stays done.',
        response: { 200: wire.Operation, ...problems },
      },
    },
    async ({ params, principal }) => toOperation(await operations.abort(readId(params.id, 'operation_not_found'), principal)),
  )
}
