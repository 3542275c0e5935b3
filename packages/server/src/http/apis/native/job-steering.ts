import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { memberText } from '../../../lib/raw-json.ts'
import type { HttpContext } from '../../context.ts'
import { problems } from './problems.ts'
import { readId, readKeptInstant } from './read.ts'
import { toJob } from './wire.ts'

/** Changing what becomes of a job. */
export async function jobSteeringRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { jobs } = context
  const tags = ['jobs']

  app.post<{ Params: { id: string }; Body: Static<typeof wire.CancelJob> | null }>(
    '/jobs/:id/cancel',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'cancelJob',
        summary: 'Cancel a job',
        description: 'A pending job at once; a running one through its worker’s next heartbeat.',
        body: Type.Union([wire.CancelJob, Type.Null()]),
        response: { 200: wire.Job, ...problems },
      },
    },
    async ({ params, body, principal }) =>
      toJob(await jobs.cancel(readId(params.id, 'job_not_found'), body?.reason ?? null, principal)),
  )

  app.post<{ Params: { id: string }; Body: Static<typeof wire.RetryJob> | null }>(
    '/jobs/:id/retry',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'retryJob',
        summary: 'Run a finished job again',
        body: Type.Union([wire.RetryJob, Type.Null()]),
        response: { 200: wire.Job, ...problems },
      },
    },
    async ({ params, rawBody, principal }) => {
      const payload = memberText(rawBody ?? '{}', 'payload')
      return toJob(await jobs.retry(readId(params.id, 'job_not_found'), { payload, queue: null }, principal))
    },
  )

  app.patch<{ Params: { id: string }; Body: Static<typeof wire.EditJob> }>(
    '/jobs/:id',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'updateJob',
        summary: 'Change a pending job',
        body: wire.EditJob,
        response: { 200: wire.Job, ...problems },
      },
    },
    async ({ params, body, principal }) => {
      const { runAt, ...rest } = body
      const change = { ...rest, ...(runAt !== undefined && { runAt: readKeptInstant(runAt, 'runAt') }) }
      return toJob(await jobs.edit(readId(params.id, 'job_not_found'), change, principal))
    },
  )

  app.delete<{ Params: { id: string } }>(
    '/jobs/:id',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        operationId: 'deleteJob',
        summary: 'Delete a job with its request and all that hangs on them',
        response: { 204: Type.Null(), ...problems },
      },
    },
    async ({ params, principal }, reply) => {
      await jobs.delete(readId(params.id, 'job_not_found'), principal)
      return reply.code(204).send()
    },
  )
}
