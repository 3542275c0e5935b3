/**
 * The ceiling of single log events: a Fastify route that checks the key and the events' types, answers for each event and stores
 * nothing. Prints `listening on URL`.
 */
import { timingSafeEqual } from 'node:crypto'
import Fastify from 'fastify'
import { loadEventTypes } from '../../packages/server/src/event-types/event-types.ts'
import type { SentEvent } from '../load/log-event-source.ts'

const key = Buffer.from(`Bearer ${process.env.AUTHORIZATION_KEY}`)
const types = loadEventTypes('')
const app = Fastify({ bodyLimit: 1024 * 1024 })

app.addHook('onRequest', (request, reply, done) => {
  const given = Buffer.from(request.headers.authorization ?? '')
  if (given.length === key.length && timingSafeEqual(given, key)) return done()
  reply.code(401).send({ detail: ['Invalid or missing authorization'] })
})

app.post<{ Body: readonly SentEvent[] }>('/v1/events', ({ body }, reply) => {
  reply.send(
    body.map(({ event_id, type, timestamp, event }) => {
      const fits = types.get(type)?.misfit(event) === null && Date.parse(timestamp) <= Date.now()
      return { event_id, success: fits, error: fits ? '' : 'invalid_event' }
    }),
  )
})

console.log(`listening on ${await app.listen({ port: 0, host: '127.0.0.1' })}`)
