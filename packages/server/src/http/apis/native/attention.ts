import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { NamePaging } from '../../cursor.ts'
import { problems } from './problems.ts'
import { toAttention } from './wire.ts'

/** What needs a look. */
export async function attentionRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.get<{ Querystring: Static<typeof wire.AttentionQuery> }>(
    '/attention',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['watching'],
        operationId: 'listAttention',
        summary: 'What needs a look',
        querystring: wire.AttentionQuery,
        response: { 200: wire.Attention, ...problems },
      },
    },
    async ({ query, principal }): Promise<wire.Attention> => {
      const paging = new NamePaging('attention')
      const page = paging.request({ ...query, order: 'asc' })
      const found = await context.attention.page(page, principal.queues)
      return { items: found.items.map(toAttention), next: paging.next(found, page) }
    },
  )
}
