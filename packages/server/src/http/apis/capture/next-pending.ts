import type { Static } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { seconds } from '../../../lib/time.ts'
import type { ClaimedJob } from '../../../storage/contract/leases.ts'
import type { HttpContext } from '../../context.ts'
import { untilGone } from '../../until-gone.ts'
import * as schemas from './schemas.ts'
import { workerName } from './worker-name.ts'

/** Taking jobs. */
export async function nextPendingRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.get<{ Querystring: Static<typeof schemas.NextPendingQuery> }>(
    '/jobs/next-pending',
    {
      // To ask by HEAD would take a job and show it to nobody.
      exposeHeadRoute: false,
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'takeNextPendingJob',
        summary: 'Take the next pending job',
        querystring: schemas.NextPendingQuery,
        response: { 200: schemas.PendingJob, ...schemas.errors('No pending jobs found.') },
      },
    },
    async (request, reply) => {
      const { custom_value: queue, wait = 0 } = request.query
      const wish = { queue: queue ?? '', worker: workerName(request), wait: seconds(wait), signal: untilGone(reply) }
      const job = queue === undefined || queue === '' ? null : await context.captureWork.next(wish, request.principal)
      if (job === null) return reply.code(404).send({ message: 'No pending jobs found.' })
      return pendingJob(job, wish.queue)
    },
  )
}

function pendingJob({ id, request, payload }: ClaimedJob, queue: string): Static<typeof schemas.PendingJob> {
  return {
    job_id: id,
    request_id: id,
    source_ip: request.sourceIp,
    user_agent: request.userAgent,
    method: request.method,
    request_url: request.url,
    request_raw: payload,
    custom_value: queue,
  }
}
