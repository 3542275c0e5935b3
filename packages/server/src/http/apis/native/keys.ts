import * as wire from '@octoflow/protocol'
import { type Static, Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { KeyWithToken } from '../../../core/access/keys.ts'
import type { HttpContext } from '../../context.ts'
import { NamePaging } from '../../cursor.ts'
import { problems } from './problems.ts'
import { readKeptInstant } from './read.ts'
import { toApiKey } from './wire.ts'

const ListQuery = Type.Object(wire.PageQuery, { additionalProperties: false })

/** API keys. */
export async function keyRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { keys } = context
  const tags = ['keys']

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/keys',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'listKeys',
        summary: 'List keys',
        querystring: ListQuery,
        response: { 200: wire.ApiKeyList, ...problems },
      },
    },
    async ({ query, principal }) => {
      const paging = new NamePaging('keys')
      const page = paging.request(query)
      const found = await keys.list(page, principal.queues)
      return { items: found.items.map(toApiKey), next: paging.next(found, page) }
    },
  )

  app.post<{ Body: wire.CreateKey }>(
    '/keys',
    {
      config: { access: 'admin', idempotency: 'unanswerable' },
      schema: {
        tags,
        operationId: 'createKey',
        summary: 'Make a key',
        description: 'The key itself is in this answer and nowhere else.',
        body: wire.CreateKey,
        response: { 201: wire.CreatedKey, ...problems },
      },
    },
    async ({ body, principal }, reply) => {
      const { name, role, queues = null, expiresAt } = body
      const expires = expiresAt === undefined || expiresAt === null ? null : readKeptInstant(expiresAt, 'expiresAt')
      return reply.code(201).send(withToken(await keys.create({ name, role, queues, expiresAt: expires }, principal)))
    },
  )

  app.post<{ Params: { id: string } }>(
    '/keys/:id/rotate',
    {
      config: { access: 'admin', idempotency: 'unanswerable' },
      schema: {
        tags,
        operationId: 'rotateKey',
        summary: 'Give a key a new text',
        description: 'The old one is void at once.',
        response: { 200: wire.CreatedKey, ...problems },
      },
    },
    async ({ params, principal }) => withToken(await keys.rotate(params.id, principal)),
  )

  app.delete<{ Params: { id: string } }>(
    '/keys/:id',
    {
      config: { access: 'admin' },
      schema: { tags, operationId: 'deleteKey', summary: 'Delete a key', response: { 204: Type.Null(), ...problems } },
    },
    async ({ params, principal }, reply) => {
      await keys.delete(params.id, principal)
      return reply.code(204).send()
    },
  )
}

const withToken = ({ key, token }: KeyWithToken): wire.CreatedKey => ({ ...toApiKey(key), key: token })
