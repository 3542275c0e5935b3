import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../context.ts'

const Health = Type.Object({ status: Type.String({ examples: ['ok'] }) })

/** For load balancers and supervisors. */
export async function health(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const tags = ['health']
  app.get(
    '/healthz',
    { config: { access: 'public' }, schema: { tags, summary: 'Does the process live?', response: { 200: Health } } },
    async () => ({ status: 'ok' }),
  )

  app.get(
    '/readyz',
    { config: { access: 'public' }, schema: { tags, summary: 'Can it do its work?', response: { 200: Health, 503: Health } } },
    async (request, reply) => {
      try {
        await context.checkReady()
        return { status: 'ok' }
      } catch (error) {
        request.log.warn({ err: error }, 'not ready')
        return reply.code(503).header('retry-after', 2).send({ status: 'the database cannot be written to' })
      }
    },
  )
}
