import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { answerWithProblem } from '../../errors.ts'
import { parseJsonBodies } from '../../plugins/bodies.ts'
import { idempotency } from '../../plugins/idempotency.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { jobRoutes } from './jobs.ts'
import { keyRoutes } from './keys.ts'
import { operationRoutes } from './operations.ts'
import { queueRoutes } from './queues.ts'
import { requestRoutes } from './requests.ts'
import { watchingRoutes } from './watching.ts'
import { workRoutes } from './work.ts'

/** Octoflow's own API, below `/api/v1`. */
export async function nativeApi(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  parseJsonBodies(app)
  app.setErrorHandler(answerWithProblem)
  await app.register(idempotency, { ports: context.ports })
  for (const routes of [
    jobRoutes,
    workRoutes,
    queueRoutes,
    requestRoutes,
    deadLetterRoutes,
    operationRoutes,
    keyRoutes,
    watchingRoutes,
  ])
    await app.register(routes, { context })
}
