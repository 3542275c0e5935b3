import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { OctoflowError } from '../../errors/octoflow-error.ts'
import { shorten } from '../errors.ts'

/** Methods that are served at the paths that match `pattern`. */
interface Served {
  readonly pattern: RegExp
  readonly methods: Set<string>
}

/** Tells a path that does not exist (404) from one that has other methods (405 with `Allow`). */
export const notFound = fp(async (app: FastifyInstance) => {
  const served = new Map<string, Served>()

  app.addHook('onRoute', ({ url, method }) => {
    let entry = served.get(url)
    if (entry === undefined) {
      entry = { pattern: toPattern(url), methods: new Set() }
      served.set(url, entry)
    }
    for (const name of [method].flat()) entry.methods.add(name)
  })

  app.decorateRequest('allowedMethods', function (this: FastifyRequest): readonly string[] {
    const path = pathOf(this)
    const methods = [...served.values()].filter(({ pattern }) => pattern.test(path)).flatMap((entry) => [...entry.methods])
    return [...new Set(methods)].sort()
  })

  // Told before the body is read: what it is makes no difference, and nothing here could parse it.
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.is404) done(refusal(request, reply))
    else done(null, payload)
  })

  // What finds out by itself that it has nothing there, such as the server of static files, comes here.
  app.setNotFoundHandler((request, reply) => {
    throw refusal(request, reply)
  })
})

function refusal(request: FastifyRequest, reply: FastifyReply): OctoflowError {
  const allowed = request.allowedMethods()
  const path = shorten(pathOf(request))
  if (allowed.length === 0 || allowed.includes(request.method)) return new OctoflowError('not_found', { path })
  reply.header('allow', allowed.join(', '))
  return new OctoflowError('method_not_allowed', { method: request.method, path })
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The methods that are served at the request's path. */
    allowedMethods(): readonly string[]
  }
}

const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0]!

/** `/jobs/:id/events` as an expression; a final `*` matches the rest. */
function toPattern(url: string): RegExp {
  const source = url
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/:\w+/g, '[^/]+')
    .replace(/\*/g, '.*')
  return new RegExp(`^${source}$`)
}
