import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { withMembers } from '../../../lib/raw-json.ts'
import type { HttpContext } from '../../context.ts'
import { Paging } from '../../cursor.ts'
import { sendWithEtag } from './etag.ts'
import { problems } from './problems.ts'
import { readFilterQuery, readId } from './read.ts'
import { toAttempt, toJob, toWaitingReason } from './wire.ts'

type ListQuery = Static<typeof wire.JobListQuery>

/** Looking at jobs. */
export async function jobRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { jobs } = context
  const tags = ['jobs']

  app.get<{ Querystring: ListQuery }>(
    '/jobs',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listJobs',
        summary: 'List jobs',
        querystring: wire.JobListQuery,
        response: { 200: wire.JobList, ...problems },
      },
    },
    async ({ query, principal }) => {
      const { limit, cursor, order, ...filterQuery } = query
      const paging = new Paging('jobs', filterQuery)
      const page = paging.request({ limit, cursor, order })
      const found = await jobs.list(readFilterQuery(filterQuery), page, principal.queues)
      return { items: found.items.map(toJob), next: paging.next(found, page) }
    },
  )

  app.get<{ Params: { id: string } }>(
    '/jobs/:id',
    {
      config: { access: 'viewer' },
      schema: { tags, operationId: 'getJob', summary: 'Read a job', response: { 200: wire.JobDetail, ...problems } },
    },
    async (request, reply) => {
      const id = readId(request.params.id, 'job_not_found')
      const { job, payload, attempts, result, error } = await jobs.detail(id, request.principal.queues)
      const detail = { ...toJob(job), attempts: attempts.map(toAttempt), error }
      return sendWithEtag(request, reply, withMembers(detail, { payload, result: result ?? 'null' }))
    },
  )

  app.get<{ Params: { id: string } }>(
    '/jobs/:id/waiting',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'explainWaiting',
        summary: 'Why a job has not started',
        response: { 200: wire.Waiting, ...problems },
      },
    },
    async ({ params, principal }): Promise<wire.Waiting> => {
      const { job, reasons } = await jobs.waiting(readId(params.id, 'job_not_found'), principal.queues)
      return { state: job.state, waiting: job.state === 'pending', reasons: reasons.map(toWaitingReason) }
    },
  )
}
