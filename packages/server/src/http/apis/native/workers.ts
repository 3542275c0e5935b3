import * as wire from '@octoflow/protocol'
import { type Static, Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { NamePaging } from '../../cursor.ts'
import { problems } from './problems.ts'
import { toWorker } from './wire.ts'

const ListQuery = Type.Object(wire.NamePageQuery, { additionalProperties: false })

/** The workers that serve queues. */
export async function workerRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { roster } = context
  const tags = ['queues']

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/workers',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listWorkers',
        summary: 'List workers',
        querystring: ListQuery,
        response: { 200: wire.WorkerList, ...problems },
      },
    },
    async ({ query, principal }) => {
      const paging = new NamePaging('workers')
      const page = paging.request({ ...query, order: query.order ?? 'asc' })
      const found = await roster.list(page, principal.queues)
      return { items: found.items.map((worker) => toWorker(worker, roster.isAlive(worker))), next: paging.next(found, page) }
    },
  )

  for (const [verb, draining, operationId, summary] of [
    ['drain', true, 'drainWorker', 'Ask a worker to finish what it has and take no more'],
    ['resume', false, 'resumeWorker', 'Let a drained worker take jobs again'],
  ] as const) {
    app.post<{ Params: { id: string } }>(
      `/workers/:id/${verb}`,
      {
        config: { access: 'operator' },
        schema: { tags, operationId, summary, response: { 200: Type.Object({ draining: Type.Boolean() }), ...problems } },
      },
      async ({ params, principal }) => {
        await roster.setDraining(params.id, draining, principal)
        return { draining }
      },
    )
  }
}
