import * as wire from '@octoflow/protocol'
import { type Static, Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { pageOf } from '../../../core/paging.ts'
import { SECOND, seconds, toIso } from '../../../lib/time.ts'
import type { HttpContext } from '../../context.ts'
import { NamePaging } from '../../cursor.ts'
import { misfit } from '../../validation.ts'
import { watcherOf } from '../../watcher.ts'
import { EventStream } from './event-stream.ts'
import { problems } from './problems.ts'
import { readList } from './read.ts'
import { toAttention, toSums } from './wire.ts'

/** A chart has no use for more queues; whoever wants them all has pages. */
const MOST_QUEUES = 1_000

/** Figures, what needs a look, live updates, and who one is. */
export async function watchingRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { reports, attention, feed, keys, version, ports, authenticator } = context
  const tags = ['watching']

  app.get<{ Querystring: Static<typeof wire.StatsQuery> }>(
    '/stats',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'What happened, in steps of time',
        querystring: wire.StatsQuery,
        response: { 200: wire.Stats, ...problems },
      },
    },
    async ({ query, principal }): Promise<wire.Stats> => {
      const { window = 3600, step = 60, queue, limit = MOST_QUEUES, cursor } = query
      if (step % 60 !== 0) throw misfit('query', 'step', 'must be a multiple of 60')
      const figures = await reports.statistics(seconds(window), seconds(step), readList(queue) ?? null, principal.queues)
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

  app.get<{ Querystring: Static<typeof wire.AttentionQuery> }>(
    '/attention',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'What needs a look',
        querystring: wire.AttentionQuery,
        response: { 200: wire.Attention, ...problems },
      },
    },
    async ({ query, principal }): Promise<wire.Attention> => {
      const paging = new NamePaging('attention')
      const page = paging.request({ ...query, order: 'asc' })
      const found = await attention.page(page, principal.queues)
      return { items: found.items.map(toAttention), next: paging.next(found, page) }
    },
  )

  app.get(
    '/stream',
    {
      // Who asks by HEAD wants no stream.
      exposeHeadRoute: false,
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Live updates',
        description:
          'Server-Sent Events. `job`: a job changed its state. `reset`: updates were missed, read again what you show. ' +
          'With `Last-Event-ID`, what was missed in between is sent first. The stream ends when its credential becomes void.',
        response: {
          200: { description: 'As long as the client stays.', content: { 'text/event-stream': { schema: Type.String() } } },
          ...problems,
        },
      },
    },
    (request, reply) => {
      reply.hijack()
      const lastId = request.headers['last-event-id']
      const stream = new EventStream(
        reply.raw,
        feed,
        watcherOf(request, authenticator),
        ports.clock,
        typeof lastId === 'string' ? lastId : null,
      )
      streams.add(stream)
      stream.onClose(() => streams.delete(stream))
      stream.open()
    },
  )

  const streams = new Set<EventStream>()
  const closeStreams = (): void => {
    for (const stream of streams) stream.close()
  }
  // Whose key is still valid comes back and misses nothing.
  keys.onChange(closeStreams)
  app.addHook('preClose', (done) => {
    closeStreams()
    done()
  })

  app.get(
    '/me',
    { config: { access: 'viewer' }, schema: { tags, summary: 'Who am I?', response: { 200: wire.Me, ...problems } } },
    async ({ principal }): Promise<wire.Me> => ({
      name: principal.name,
      role: principal.role,
      queues: principal.queues === null ? null : [...principal.queues],
      server: { version },
    }),
  )
}
