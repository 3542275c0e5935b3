import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Authenticator } from '../../core/access/authenticator.ts'
import { OctoflowError } from '../../errors/octoflow-error.ts'
import { allows, type Principal } from '../../model/access.ts'

/** Failed authentications that one address may have in a minute before it is told to wait. */
const FAILURES = 30
const WINDOW_MS = 60_000

interface Options {
  readonly authenticator: Authenticator
  /** Below this path a library registers routes of its own, which everybody may call. */
  readonly publicPrefix: string
}

const NOBODY: Principal = { name: 'nobody', role: 'viewer', queues: [] }

/**
 * Default-deny: a route that does not say who may call it stops the start, and a call is let in by this hook or not at
 * all. Handlers find the caller in `request.principal`.
 */
export const authentication = fp(async (app: FastifyInstance, { authenticator, publicPrefix }: Options) => {
  await app.register(rateLimit, { global: false })
  const countFailure = app.createRateLimit({ max: FAILURES, timeWindow: WINDOW_MS })
  app.decorateRequest('principal')

  app.addHook('onRoute', (route) => {
    if (route.config?.access !== undefined) return
    if (!`${route.url}/`.startsWith(`${publicPrefix}/`))
      throw new Error(`${route.method} ${route.url} does not say who may call it`)
    route.config = { ...route.config, access: 'public' }
  })

  app.addHook('onRequest', (request, _reply, done) => {
    const needed = request.routeOptions.config.access
    if (request.is404 || needed === 'public') {
      request.principal = NOBODY
      return done()
    }
    if (needed === undefined) return done(new OctoflowError('unauthorized'))
    const admit = (principal: Principal | null): void => {
      if (principal === null) refuse(request).then(done, done)
      else if (!allows(principal.role, needed)) done(new OctoflowError('forbidden', { role: principal.role, needed }))
      else {
        request.principal = principal
        done()
      }
    }
    const principal = authenticator.authenticate(credential(request))
    if (principal instanceof Promise) principal.then(admit, done)
    else admit(principal)
  })

  async function refuse(request: FastifyRequest): Promise<Error> {
    const failures = await countFailure(request)
    if (!failures.isAllowed && failures.isExceeded)
      return new OctoflowError('too_many_failures', { retryAfter: failures.ttlInSeconds })
    return new OctoflowError('unauthorized')
  }
})

const BEARER = /^Bearer +(\S+) *$/i

/** What a request gives to prove who makes it; `null` for nothing. */
export function credential({ headers }: FastifyRequest): string | null {
  const { authorization } = headers
  if (authorization !== undefined) return BEARER.exec(authorization)?.[1] ?? null
  const key = headers['x-api-key']
  return typeof key === 'string' ? key : null
}
