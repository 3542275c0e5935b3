import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { isOctoflowError, OctoflowError } from '../../errors/octoflow-error.ts'
import { SECOND } from '../../lib/time.ts'
import type { HttpContext } from '../context.ts'

const Health = Type.Object({ status: Type.String({ examples: ['ok'] }) })

/** Who asks whether the server is ready has little patience. */
const ANSWER_WITHIN = 3 * SECOND

/** For load balancers and supervisors. */
export async function health(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const tags = ['health']
  app.get(
    '/healthz',
    {
      config: { access: 'public' },
      schema: { tags, operationId: 'getHealth', summary: 'Does the process live?', response: { 200: Health } },
    },
    async () => ({ status: 'ok' }),
  )

  app.get(
    '/readyz',
    {
      config: { access: 'public' },
      schema: { tags, operationId: 'getReadiness', summary: 'Can it do its work?', response: { 200: Health, 503: Health } },
    },
    async (request, reply) => {
      try {
        await checkReady(context)
        return { status: 'ok' }
      } catch (error) {
        request.log.warn({ err: error }, 'not ready')
        return reply
          .code(503)
          .header('retry-after', 2)
          .send({ status: reasonOf(error) })
      }
    },
  )
}

async function checkReady({ checkReady, ports }: HttpContext): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const cancel = ports.clock.after(ANSWER_WITHIN, () => reject(new OctoflowError('storage_unavailable')))
  const checked = checkReady()
  checked.catch(() => undefined)
  await Promise.race([checked, late]).finally(cancel)
}

/** In the words of the catalogue, which say nothing of the server's inside. */
const reasonOf = (error: unknown): string => (isOctoflowError(error) ? error.message : 'The database cannot be written to.')
