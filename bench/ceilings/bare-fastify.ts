/**
 * The ceiling of a capture: a Fastify route that checks the key, validates the same schema and stores nothing.
 * Prints `listening on URL`.
 */
import { timingSafeEqual } from 'node:crypto'
import Fastify from 'fastify'
import { CustomValueQuery } from '../../packages/server/src/http/apis/capture/schemas.ts'

const key = Buffer.from(`Bearer ${process.env.AUTHORIZATION_KEY}`)
const app = Fastify({ bodyLimit: 1024 * 1024 })

app.addHook('onRequest', (request, reply, done) => {
  const given = Buffer.from(request.headers.authorization ?? '')
  if (given.length === key.length && timingSafeEqual(given, key)) return done()
  reply.code(401).send({ message: 'Invalid or missing authorization' })
})

let id = 0
app.post(
  '/request',
  {
    schema: {
      querystring: CustomValueQuery,
      response: {
        200: {
          type: 'object',
          properties: { message: { type: 'string' }, id: { type: 'integer' }, job_id: { type: 'integer' } },
        },
      },
    },
  },
  (_request, reply) => {
    id++
    reply.send({ message: 'Request processed successfully', id, job_id: id })
  },
)

console.log(`listening on ${await app.listen({ port: 0, host: '127.0.0.1' })}`)
