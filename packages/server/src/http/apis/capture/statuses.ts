import type { Static } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { fromIso } from '../../../lib/time.ts'
import type { HttpContext } from '../../context.ts'
import { misfit } from '../../validation.ts'
import { jobId } from './ids.ts'
import * as schemas from './schemas.ts'
import { workerName } from './worker-name.ts'

/** Reporting how jobs go. */
export async function statusRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.put<{ Params: { id: string }; Body: Static<typeof schemas.JobBody> }>(
    '/jobs/:id',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'updateCapturedJob',
        summary: 'Update a job',
        body: schemas.JobBody,
        response: schemas.messages('Job updated successfully', 'Job not found'),
      },
    },
    async (request) => {
      const { status, finished_date: finishedDate } = request.body
      const id = jobId(request.params.id)
      const finishedAt = typeof finishedDate === 'string' ? fromIso(finishedDate) : null
      if (typeof finishedDate === 'string' && finishedAt === null)
        throw misfit('body', 'finished_date', 'must be an ISO 8601 date')
      if (status === undefined) await context.jobs.find(id, request.principal.queues)
      else await context.captureWork.setStatus(id, status, finishedAt, workerName(request), request.principal)
      return { message: 'Job updated successfully' }
    },
  )

  app.put<{ Params: { id: string }; Body: Static<typeof schemas.StatusBody> }>(
    '/jobs/:id/update-status',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'updateCapturedJobStatus',
        summary: 'Report a job’s status',
        body: schemas.StatusBody,
        response: schemas.messages('Job status updated successfully', 'Job not found'),
      },
    },
    async (request) => {
      const { params, body, principal } = request
      await context.captureWork.setStatus(jobId(params.id), body.status, null, workerName(request), principal)
      return { message: 'Job status updated successfully' }
    },
  )

  app.put<{ Params: { id: string } }>(
    '/jobs/:id/mark-handled',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'markCapturedJobHandled',
        summary: 'Mark the job’s request as handled',
        response: schemas.messages('Request marked as handled', 'Job not found'),
      },
    },
    async (request) => {
      await context.captureWork.markHandled(jobId(request.params.id), workerName(request), request.principal)
      return { message: 'Request marked as handled' }
    },
  )
}
