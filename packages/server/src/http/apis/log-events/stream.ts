import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { inTerms } from '../../../core/log-events/log-events.ts'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { watcherOf } from '../../watcher.ts'
import { type Query, readFilter } from './query.ts'
import * as schemas from './schemas.ts'
import { TAIL_HEADERS, TailStream } from './tail-stream.ts'

/** The live tail. */
export async function streamRoutes(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  const { logEventTail: tail, authenticator, keys, ports } = context
  const streams = new Set<TailStream>()

  app.get<{ Querystring: Query }>(
    '/v1/events/stream',
    {
      config: { access: options.publicApis.includes('log-events') ? 'public' : 'viewer' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'streamLogEvents',
        summary: 'Follow events as they are stored',
        description:
          'Server-Sent Events, in the order in which events are stored; `data` is the event. With `Last-Event-ID` the stream goes on ' +
          'after that one, without a gap; `reset` tells of an id that the database does not know. It ends when its credential becomes void.',
        querystring: Type.Object(schemas.FilterQuery),
        response: {
          200: { description: 'As long as the client stays.', content: { 'text/event-stream': { schema: Type.String() } } },
          ...schemas.errors,
        },
      },
    },
    async (request, reply) => {
      const filter = inTerms(readFilter(request.query))
      // Who asks by HEAD wants no stream.
      if (request.method === 'HEAD') return reply.headers(TAIL_HEADERS).send()
      const lastId = request.headers['last-event-id']
      const mark = typeof lastId === 'string' && lastId !== '' ? lastId : await tail.end()
      reply.hijack()
      const watcher = watcherOf(request, authenticator)
      const stream = new TailStream(reply.raw, filter, { tail, clock: ports.clock, logger: ports.logger, watcher })
      streams.add(stream)
      await stream.run(mark)
      streams.delete(stream)
    },
  )

  const closeStreams = (): void => {
    for (const stream of streams) stream.close()
  }
  // Whose key is still valid comes back and misses nothing.
  keys.onChange(closeStreams)
  app.addHook('preClose', (done) => {
    closeStreams()
    done()
  })
}
