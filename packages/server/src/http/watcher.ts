import type { FastifyRequest } from 'fastify'
import type { Authenticator } from '../core/access/authenticator.ts'
import type { QueueScope } from '../model/access.ts'
import { credential } from './plugins/authentication.ts'

/** Whom a stream is for. */
export interface Watcher {
  readonly scope: QueueScope
  /** Whether its credential would still let it in. */
  mayStay(): Promise<boolean>
}

export const watcherOf = (request: FastifyRequest, authenticator: Authenticator): Watcher => ({
  scope: request.principal.queues,
  async mayStay() {
    if (request.routeOptions.config.access === 'public') return true
    try {
      return (await authenticator.authenticate(credential(request))) !== null
    } catch (error) {
      // Where it cannot be told, as while the database is away, the next beat tells.
      request.log.warn({ err: error }, 'whether a stream may go on could not be checked')
      return true
    }
  },
})
