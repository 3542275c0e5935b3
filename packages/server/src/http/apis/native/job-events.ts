import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { itemTexts, memberText } from '../../../lib/raw-json.ts'
import type { HttpContext } from '../../context.ts'
import { Paging } from '../../cursor.ts'
import { problems } from './problems.ts'
import { readEvent, readId } from './read.ts'
import { eventText } from './wire.ts'

const EventsBody = Type.Union([
  wire.EventInput,
  Type.Object({ events: Type.Array(wire.EventInput, { minItems: 1, maxItems: 1000 }) }, { additionalProperties: false }),
])

const EventsQuery = Type.Object(
  { ...wire.PageQuery, order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'asc' })) },
  { additionalProperties: false },
)

/** What workers and others record of a job. */
export async function jobEventRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { jobs } = context
  const tags = ['jobs']

  app.post<{ Params: { id: string }; Body: Static<typeof EventsBody> }>(
    '/jobs/:id/events',
    {
      config: { access: 'worker' },
      schema: {
        tags,
        operationId: 'addJobEvents',
        summary: 'Record events or log lines of a job',
        body: EventsBody,
        response: { 201: Type.Object({ ids: Type.Array(wire.Id) }), ...problems },
      },
    },
    async ({ params, body, rawBody, principal }, reply) => {
      const text = rawBody ?? '{}'
      const texts = 'events' in body ? itemTexts(memberText(text, 'events') ?? '[]') : [text]
      const events = ('events' in body ? body.events : [body]).map((event, index) => readEvent(event, texts[index] ?? '{}'))
      const ids = await jobs.addEvents(readId(params.id, 'job_not_found'), events, principal)
      return reply.code(201).send({ ids })
    },
  )

  app.get<{ Params: { id: string }; Querystring: Static<typeof EventsQuery> }>(
    '/jobs/:id/events',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listJobEvents',
        summary: 'Events and log lines of a job',
        querystring: EventsQuery,
        response: { 200: wire.JobEventList, ...problems },
      },
    },
    async ({ params, query, principal }, reply) => {
      const id = readId(params.id, 'job_not_found')
      const paging = new Paging(`events of ${id}`)
      const page = paging.request({ ...query, order: query.order ?? 'asc' })
      const found = await jobs.events(id, page, principal.queues)
      reply.type('application/json; charset=utf-8')
      return `{"items":[${found.items.map(eventText).join()}],"next":${JSON.stringify(paging.next(found, page))}}`
    },
  )
}
