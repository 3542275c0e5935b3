import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { memberText } from '../../../lib/raw-json.ts'
import type { HttpContext } from '../../context.ts'
import { Paging } from '../../cursor.ts'
import { problems } from './problems.ts'
import { readFilterQuery, readId } from './read.ts'
import { toDeadLetter, toJob } from './wire.ts'

const { state: _, requestId: __, ...FilterQuery } = wire.JobFilterQuery
const ListQuery = Type.Object({ ...FilterQuery, ...wire.PageQuery }, { additionalProperties: false })

/** Jobs that ended badly. A dead letter has its job's id. */
export async function deadLetterRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { deadLetters } = context
  const tags = ['dead letters']

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/dead-letters',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listDeadLetters',
        summary: 'List dead letters',
        querystring: ListQuery,
        response: { 200: wire.DeadLetterList, ...problems },
      },
    },
    async ({ query, principal }) => {
      const { limit, cursor, order, ...filterQuery } = query
      const paging = new Paging('dead letters', filterQuery)
      const page = paging.request({ limit, cursor, order })
      const found = await deadLetters.list(readFilterQuery(filterQuery), page, principal.queues)
      return { items: found.items.map(toDeadLetter), next: paging.next(found, page) }
    },
  )

  app.get<{ Params: { id: string } }>(
    '/dead-letters/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getDeadLetter',
        summary: 'Read a dead letter',
        response: { 200: wire.DeadLetter, ...problems },
      },
    },
    async ({ params, principal }) =>
      toDeadLetter(await deadLetters.find(readId(params.id, 'dead_letter_not_found'), principal.queues)),
  )

  app.post<{ Params: { id: string }; Body: Static<typeof wire.ReplayDeadLetter> | null }>(
    '/dead-letters/:id/replay',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'replayDeadLetter',
        summary: 'Run a dead letter again',
        description: 'With another `payload`, or in another queue (`target`), if given.',
        body: Type.Union([wire.ReplayDeadLetter, Type.Null()]),
        response: { 200: wire.Job, ...problems },
      },
    },
    async ({ params, body, rawBody, principal }) => {
      const id = readId(params.id, 'dead_letter_not_found')
      const change = { payload: memberText(rawBody ?? '{}', 'payload'), queue: body?.target ?? null }
      return toJob(await deadLetters.replay(id, change, principal))
    },
  )
}
