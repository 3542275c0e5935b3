import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { DEFAULT_LEASE } from '../../../core/engine/work.ts'
import { seconds, toIsoOrNull } from '../../../lib/time.ts'
import type { HttpContext } from '../../context.ts'
import { problems } from './problems.ts'
import { readProgress, readToken } from './read.ts'

/** A worker says that it is still at its jobs, and hears what to do about them. */
export async function heartbeatRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.post<{ Body: wire.HeartbeatRequest }>(
    '/jobs/heartbeat',
    {
      config: { access: 'worker', idempotency: 'own' },
      schema: {
        tags: ['work'],
        operationId: 'heartbeatJobs',
        summary: 'Renew leases',
        description:
          'Answers a command for each job: go on, cancel it, finish and take no more (`drain`), or drop it (`lost`).',
        body: wire.HeartbeatRequest,
        response: { 200: wire.HeartbeatAnswer, ...problems },
      },
    },
    async ({ body, principal }): Promise<wire.HeartbeatAnswer> => {
      const { workerId, leaseSeconds, jobs } = body
      const beats = jobs.map(({ id, leaseToken, progress }) => ({
        id,
        fence: readToken(leaseToken),
        progress: readProgress(progress),
      }))
      const lease = leaseSeconds === undefined ? DEFAULT_LEASE : seconds(leaseSeconds)
      const results = await context.work.heartbeat(workerId, lease, beats, principal)
      return { jobs: results.map(({ id, leaseUntil, command }) => ({ id, leaseUntil: toIsoOrNull(leaseUntil), command })) }
    },
  )
}
