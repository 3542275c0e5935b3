import type { Static } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { withMembers } from '../../../lib/raw-json.ts'
import { toIso } from '../../../lib/time.ts'
import type { CapturedRequest } from '../../../model/request.ts'
import type { HttpContext } from '../../context.ts'
import { requestId } from './ids.ts'
import * as schemas from './schemas.ts'

/** Reading, marking and deleting what was recorded. */
export async function requestRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.get<{ Params: { id: string } }>(
    '/request/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'getCapturedRequest',
        summary: 'Read a recorded request',
        response: { 200: schemas.RecordedRequest, ...schemas.errors('Request not found') },
      },
    },
    async ({ params, principal }, reply) => {
      const request = await context.requests.find(requestId(params.id), principal.queues)
      reply.type(schemas.JSON_TYPE)
      return recordedRequest(request)
    },
  )

  app.put<{ Params: { id: string }; Body: Static<typeof schemas.HandledBody> }>(
    '/request/:id',
    {
      config: { access: 'worker' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'markCapturedRequest',
        summary: 'Mark a request as handled or not',
        body: schemas.HandledBody,
        response: schemas.messages('Request updated successfully', 'Request not found'),
      },
    },
    async ({ params, body, principal }) => {
      await context.requests.setHandled(requestId(params.id), body.is_handled === 1, principal)
      return { message: 'Request updated successfully' }
    },
  )

  app.delete<{ Params: { id: string } }>(
    '/request/:id',
    {
      config: { access: 'operator' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'deleteCapturedRequest',
        summary: 'Delete a request with its job and events',
        response: schemas.messages('Request deleted successfully', 'Request not found'),
      },
    },
    async ({ params, principal }) => {
      await context.requests.delete(requestId(params.id), principal)
      return { message: 'Request deleted successfully' }
    },
  )
}

function recordedRequest(request: CapturedRequest): string {
  const { id, receivedAt, sourceIp, userAgent, method, url, body, queue, handled } = request
  const before = {
    id,
    timestamp: toIso(receivedAt),
    source_ip: sourceIp,
    user_agent: userAgent,
    method,
    request_url: url,
    custom_value: queue,
    is_handled: handled ? 1 : 0,
  }
  return withMembers(before, { request_raw: body })
}
