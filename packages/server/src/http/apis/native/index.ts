import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { answerWithProblem } from '../../errors.ts'
import { parseJsonBodies } from '../../plugins/bodies.ts'
import { idempotency } from '../../plugins/idempotency.ts'
import { attentionRoutes } from './attention.ts'
import { claimRoutes } from './claim.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { heartbeatRoutes } from './heartbeat.ts'
import { jobEventRoutes } from './job-events.ts'
import { jobSteeringRoutes } from './job-steering.ts'
import { jobTimelineRoutes } from './job-timeline.ts'
import { jobRoutes } from './jobs.ts'
import { keyRoutes } from './keys.ts'
import { meRoutes } from './me.ts'
import { operationRoutes } from './operations.ts'
import { queueRoutes } from './queues.ts'
import { reportRoutes } from './report.ts'
import { requestRoutes } from './requests.ts'
import { statsRoutes } from './stats.ts'
import { streamRoutes } from './stream.ts'
import { submitRoutes } from './submit.ts'
import { workerRoutes } from './workers.ts'

/** Octoflow's own API, below `/api/v1`. */
export async function nativeApi(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  parseJsonBodies(app)
  app.setErrorHandler(answerWithProblem)
  app.addHook('onRoute', (route) => {
    route.schema = { querystring: NO_PARAMETERS, ...route.schema }
  })
  await app.register(idempotency, { ports: context.ports })
  for (const routes of ROUTES) await app.register(routes, { context })
}

/** What a route does not know is refused, also by those that know none: a slip of the pen would go unnoticed. */
const NO_PARAMETERS = Type.Object({}, { additionalProperties: false })

/** In the order of the documentation. */
const ROUTES = [
  submitRoutes,
  jobRoutes,
  jobTimelineRoutes,
  jobSteeringRoutes,
  jobEventRoutes,
  claimRoutes,
  heartbeatRoutes,
  reportRoutes,
  queueRoutes,
  workerRoutes,
  requestRoutes,
  deadLetterRoutes,
  operationRoutes,
  keyRoutes,
  statsRoutes,
  attentionRoutes,
  streamRoutes,
  meRoutes,
]
