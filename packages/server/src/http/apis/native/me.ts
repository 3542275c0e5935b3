import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { problems } from './problems.ts'

/** Who one is. */
export async function meRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.get(
    '/me',
    {
      config: { access: 'viewer' },
      schema: { tags: ['watching'], operationId: 'getMe', summary: 'Who am I?', response: { 200: wire.Me, ...problems } },
    },
    async ({ principal }): Promise<wire.Me> => ({
      name: principal.name,
      role: principal.role,
      queues: principal.queues === null ? null : [...principal.queues],
      server: { version: context.version },
    }),
  )
}
