import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../../context.ts'
import { watcherOf } from '../../watcher.ts'
import { EventStream } from './event-stream.ts'
import { problems } from './problems.ts'

/** Live updates. */
export async function streamRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { feed, keys, ports, authenticator } = context
  const streams = new Set<EventStream>()

  app.get(
    '/stream',
    {
      // Who asks by HEAD wants no stream.
      exposeHeadRoute: false,
      config: { access: 'viewer' },
      schema: {
        tags: ['watching'],
        operationId: 'streamUpdates',
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
