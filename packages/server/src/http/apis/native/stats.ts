import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { pageOf } from '../../../core/paging.ts'
import { SECOND, seconds, toIso } from '../../../lib/time.ts'
import type { HttpContext } from '../../context.ts'
import { NamePaging } from '../../cursor.ts'
import { misfit } from '../../validation.ts'
import { problems } from './problems.ts'
import { readList } from './read.ts'
import { toSums } from './wire.ts'

/** A chart has no use for more queues; whoever wants them all has pages. */
const MOST_QUEUES = 1_000

/** Figures. */
export async function statsRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.get<{ Querystring: Static<typeof wire.StatsQuery> }>(
    '/stats',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['watching'],
        operationId: 'getStats',
        summary: 'What happened, in steps of time',
        querystring: wire.StatsQuery,
        response: { 200: wire.Stats, ...problems },
      },
    },
    async ({ query, principal }): Promise<wire.Stats> => {
      const { window = 3600, step = 60, queue, limit = MOST_QUEUES, cursor } = query
      if (step % 60 !== 0) throw misfit('query', 'step', 'must be a multiple of 60')
      const figures = await context.reports.statistics(
        seconds(window),
        seconds(step),
        readList(queue) ?? null,
        principal.queues,
      )
      const paging = new NamePaging('stats', { queue })
      const page = paging.request({ limit, cursor, order: 'asc' })
      const queues = pageOf([...figures.queues], ([name]) => name, page)
      return {
        from: toIso(figures.from),
        to: toIso(figures.to),
        stepSeconds: figures.step / SECOND,
        points: figures.points.map((point) => ({ at: toIso(point.at), ...toSums(point) })),
        queues: Object.fromEntries(queues.items.map(([name, sums]) => [name, toSums(sums)])),
        next: paging.next(queues, page),
        total: toSums(figures.total),
      }
    },
  )
}
