import type { Static } from '@octoflow/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { fromIso, seconds } from '../../../lib/time.ts'
import type { ClaimedJob } from '../../../storage/contract/leases.ts'
import type { HttpContext } from '../../context.ts'
import { untilGone } from '../../until-gone.ts'
import { misfit } from '../../validation.ts'
import { jobId } from './ids.ts'
import * as schemas from './schemas.ts'

/** Taking jobs and reporting on them. */
export async function jobRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.get<{ Querystring: Static<typeof schemas.NextPendingQuery> }>(
    '/jobs/next-pending',
    {
      // To ask by HEAD would take a job and show it to nobody.
      exposeHeadRoute: false,
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
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

  app.put<{ Params: { id: string }; Body: Static<typeof schemas.JobBody> }>(
    '/jobs/:id',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
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
        summary: 'Mark the job’s request as handled',
        response: schemas.messages('Request marked as handled', 'Job not found'),
      },
    },
    async (request) => {
      await context.captureWork.markHandled(jobId(request.params.id), workerName(request), request.principal)
      return { message: 'Request marked as handled' }
    },
  )

  app.post<{ Body: Static<typeof schemas.EventOfJobBody> }>(
    '/events',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
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

/** Clients of this API do not say who they are; their address has to do. */
const workerName = ({ ip }: FastifyRequest): string => `capture-api@${ip}`

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
