import type { Static } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { jobId } from './ids.ts'
import * as schemas from './schemas.ts'
import { workerName } from './worker-name.ts'

/** Recording what happens to jobs. */
export async function eventRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.post<{ Body: Static<typeof schemas.EventOfJobBody> }>(
    '/events',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'insertEvent',
        summary: 'Record an event of a job',
        body: schemas.EventOfJobBody,
        response: { 200: schemas.EventCreated, ...schemas.errors('Job not found') },
      },
    },
    async (request) => {
      const { body, principal } = request
      const eventId = await context.captureWork.addEvent(
        jobId(String(body.job_id)),
        body.message,
        workerName(request),
        principal,
      )
      return { event_id: eventId }
    },
  )

  app.post<{ Params: { id: string }; Body: Static<typeof schemas.EventBody> }>(
    '/jobs/:id/insert-event',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'insertJobEvent',
        summary: 'Record an event of a job',
        body: schemas.EventBody,
        response: { 200: schemas.EventCreated, ...schemas.errors('Job not found') },
      },
    },
    async (request) => {
      const { params, body, principal } = request
      const eventId = await context.captureWork.addEvent(jobId(params.id), body.message, workerName(request), principal)
      return { event_id: eventId }
    },
  )
}
