import type { FastifyInstance } from 'fastify'
import type { ErrorCode } from '../../../errors/catalogue.ts'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { answerWithMessage } from '../../errors.ts'
import { parseJsonBodies } from '../../plugins/bodies.ts'
import { eventRoutes } from './events.ts'
import { nextPendingRoutes } from './next-pending.ts'
import { recording } from './recording.ts'
import { requestRoutes } from './requests.ts'
import * as schemas from './schemas.ts'
import { statusRoutes } from './statuses.ts'

/** The capture API: what Drumpler's clients and Mammoth workers send and expect. */
export async function captureApi(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  parseJsonBodies(app)
  app.setErrorHandler((thrown, request, reply) => answerWithMessage(thrown, request, reply, MESSAGES))

  app.get(
    '/',
    {
      config: { access: 'public' },
      schema: { tags: schemas.TAGS, operationId: 'greet', summary: 'Say hello', response: schemas.greeting },
    },
    (_request, reply) => {
      reply.type('text/plain; charset=utf-8').send(`Hello Drumpler ${context.version}!`)
    },
  )

  await app.register(recording, { context, options })
  for (const routes of [requestRoutes, nextPendingRoutes, statusRoutes, eventRoutes]) await app.register(routes, { context })
}

/** The words that clients of the capture API have always been told. */
const MESSAGES: Readonly<Partial<Record<ErrorCode, string>>> = {
  unauthorized: 'Invalid or missing authorization',
  request_not_found: 'Request not found',
  job_not_found: 'Job not found',
}
