import type { FastifyInstance } from 'fastify'
import type { ErrorCode } from '../../../errors/catalogue.ts'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { answerWithDetail } from '../../errors.ts'
import { parseJsonBodies } from '../../plugins/bodies.ts'
import { deletionRoutes } from './deletion.ts'
import { eventRoutes } from './events.ts'
import { exportRoutes } from './export.ts'
import { storingRoutes } from './storing.ts'
import { streamRoutes } from './stream.ts'

/** What all paths of the log events API begin with. */
export const LOG_EVENTS = '/v1/event'

/** The log events API: what clients of the logging application send and expect. */
export async function logEventsApi(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  parseJsonBodies(app)
  app.setErrorHandler((thrown, request, reply) => answerWithDetail(thrown, request, reply, WORDS))
  app.addHook('preHandler', (request, _reply, done) => {
    const isLimited = request.routeOptions.config.access !== 'public' && request.principal.queues !== null
    done(isLimited ? new OctoflowError('log_events_out_of_scope') : undefined)
  })
  // Queries and events are checked by hand: the answers have words of their own, and a bad event fails alone.
  app.setValidatorCompiler(() => () => true)
  for (const routes of [storingRoutes, eventRoutes, deletionRoutes, streamRoutes, exportRoutes])
    await app.register(routes, { context, options })
}

/** The words that clients of this API have always been told. */
const WORDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  log_event_not_found: 'Unable to find event log with {id}',
}
