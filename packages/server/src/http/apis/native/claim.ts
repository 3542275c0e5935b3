import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { DEFAULT_LEASE } from '../../../core/engine/work.ts'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { seconds } from '../../../lib/time.ts'
import type { HttpContext } from '../../context.ts'
import { isTooLong } from '../../queue-name.ts'
import { untilGone } from '../../until-gone.ts'
import { problems } from './problems.ts'
import { RepeatedClaims } from './repeated-claims.ts'

/** A worker takes jobs. docs/guides/worker-protocol.md tells how to write one in any language. */
export async function claimRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { work, roster, ports } = context
  const repeatedClaims = new RepeatedClaims(ports, work)

  app.post<{ Params: { queue: string }; Body: wire.ClaimRequest }>(
    '/queues/:queue/claim',
    {
      config: { access: 'worker', idempotency: 'own' },
      schema: {
        tags: ['work'],
        operationId: 'claimJobs',
        summary: 'Take jobs',
        description:
          'Leases up to `limit` jobs to the caller; with `waitSeconds`, waits for one if there is none. Repeated with its ' +
          '`Idempotency-Key`, a claim is answered with those of its jobs whose leases are still held, which are renewed.',
        body: wire.ClaimRequest,
        response: { 200: wire.ClaimAnswer, ...problems },
      },
    },
    async (request, reply) => {
      const { workerId, limit = 1, waitSeconds = 0, leaseSeconds } = request.body
      const { queue } = request.params
      if (isTooLong(queue)) throw new OctoflowError('queue_not_found', { queue })
      const wish = {
        queue,
        worker: workerId,
        limit,
        wait: seconds(waitSeconds),
        lease: leaseSeconds === undefined ? DEFAULT_LEASE : seconds(leaseSeconds),
        ...(waitSeconds > 0 && { signal: untilGone(reply) }),
      }
      const jobs = await repeatedClaims.claim(request, wish, async () => {
        const claim = await work.claim(wish, request.principal, request.headers['user-agent'] ?? null)
        return claim.jobs
      })
      reply.type('application/json; charset=utf-8')
      return `{"jobs":[${jobs.join()}],"drain":${roster.isDraining(workerId)}}`
    },
  )
}
