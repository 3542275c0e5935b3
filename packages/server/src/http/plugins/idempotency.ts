import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { IDEMPOTENCY_KEPT } from '../../core/jobs/intake.ts'
import type { Ports } from '../../core/ports.ts'
import { OctoflowError } from '../../errors/octoflow-error.ts'
import { type Duration, MINUTE } from '../../lib/time.ts'
import { idempotencyKey } from '../idempotency-key.ts'

/** A call that was cut off half-way may be tried again after this time. */
const RESERVED_FOR: Duration = MINUTE

const UNSAFE = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/**
 * `Idempotency-Key` for unsafe calls: the first call's answer is kept for a day and given to its repetitions, provided that
 * it is final. What is refused only as things stand may succeed when it is repeated, so its key is free again. Submits
 * handle their keys themselves, in the transaction that makes the job.
 */
export const idempotency = fp(async (app: FastifyInstance, { ports }: { readonly ports: Ports }) => {
  const { storage, clock } = ports
  app.decorateRequest('reservedKey', null)

  app.addHook('preHandler', async (request, reply) => {
    if (!UNSAFE.has(request.method) || request.routeOptions.config.idempotency === 'own') return
    const key = idempotencyKey(request, `${request.method} ${request.url}`)
    if (key === null) return
    const answer = await earlierAnswer(ports, request, key, RESERVED_FOR)
    if (answer === null) {
      request.reservedKey = key
      return
    }
    const { status, body } = answer
    if (status === UNANSWERABLE) throw new OctoflowError('idempotency_answer_gone')
    if (body === '') return reply.code(status).send()
    return reply
      .code(status)
      .type(status < 400 ? 'application/json; charset=utf-8' : 'application/problem+json')
      .send(body)
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const key = request.reservedKey
    if (key === null) return
    request.reservedKey = null
    if (!isFinal(reply.statusCode)) return storage.idempotency.abandon({ key })
    const keep = request.routeOptions.config.idempotency !== 'unanswerable' || reply.statusCode >= 400
    await storage.idempotency.finish({
      key,
      status: keep ? reply.statusCode : UNANSWERABLE,
      // All answers here are texts, or nothing at all.
      body: keep && typeof payload === 'string' ? payload : '',
      expiresAt: clock.now() + IDEMPOTENCY_KEPT,
    })
  })
})

/**
 * The answer of the first call under a key; `null` if this is the first, which has then reserved the key.
 * @throws `idempotency_key_in_use`, `idempotency_key_reused`
 */
export async function earlierAnswer(
  { storage, clock }: Ports,
  { rawBody }: FastifyRequest,
  key: string,
  reserveFor: Duration,
): Promise<{ readonly status: number; readonly body: string } | null> {
  const now = clock.now()
  const fingerprint = hash('sha256', rawBody ?? '')
  const state = await storage.idempotency.begin({ now, key, fingerprint, reservedUntil: now + reserveFor })
  switch (state.kind) {
    case 'new':
      return null
    case 'in_use':
      throw new OctoflowError('idempotency_key_in_use', { retryAfter: 1 })
    case 'mismatch':
      throw new OctoflowError('idempotency_key_reused')
    case 'answered':
      return state
  }
}

/** Served, or such that the same call never fits. */
const isFinal = (status: number): boolean => status < 300 || status === 400 || status === 422

/** Stands for an answer that must not be kept, such as a new key. */
const UNANSWERABLE = 0

declare module 'fastify' {
  interface FastifyRequest {
    reservedKey: string | null
  }
}
