import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { TimelinePlace, TimelineRequest } from '../../../core/jobs/timeline.ts'
import type { HttpContext } from '../../context.ts'
import { Paging } from '../../cursor.ts'
import { problems } from './problems.ts'
import { readId } from './read.ts'
import { timelineText } from './wire.ts'

/** All that happened to a job. */
export async function jobTimelineRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.get<{ Params: { id: string }; Querystring: Static<typeof wire.TimelineQuery> }>(
    '/jobs/:id/timeline',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['jobs'],
        operationId: 'getJobTimeline',
        summary: 'All that happened to a job, in order',
        querystring: wire.TimelineQuery,
        response: { 200: wire.Timeline, ...problems },
      },
    },
    async ({ params, query, principal }, reply) => {
      const id = readId(params.id, 'job_not_found')
      const paging = new TimelinePaging(id)
      const page = paging.request(query)
      const { items, next } = await context.jobs.timeline(id, page, principal.queues)
      reply.type('application/json; charset=utf-8')
      return `{"items":[${items.map(timelineText).join()}],"next":${JSON.stringify(paging.next(next, page))}}`
    },
  )
}

/** A place on a timeline is one among its events and one among its steps; its cursor is made of one for each. */
class TimelinePaging {
  readonly #events: Paging
  readonly #steps: Paging

  constructor(id: number) {
    this.#events = new Paging(`events on the timeline of ${id}`)
    this.#steps = new Paging(`steps on the timeline of ${id}`)
  }

  /** @throws `invalid_cursor` */
  request({ limit = 1_000, cursor, order = 'asc' }: Static<typeof wire.TimelineQuery>): TimelineRequest {
    if (cursor === undefined) return { limit, order, after: null }
    const [eventCursor = '', stepCursor = ''] = cursor.split('.')
    const event = this.#events.request({ cursor: eventCursor, order }).after!
    const step = this.#steps.request({ cursor: stepCursor, order }).after!
    return { limit, order, after: { event, step } }
  }

  next(place: TimelinePlace | null, { limit, order }: TimelineRequest): string | null {
    if (place === null) return null
    const [event, step] = [
      this.#events.next({ items: [], next: place.event }, { limit, order, after: null }),
      this.#steps.next({ items: [], next: place.step }, { limit, order, after: null }),
    ]
    return `${event}.${step}`
  }
}
