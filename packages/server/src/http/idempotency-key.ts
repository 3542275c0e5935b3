import type { FastifyRequest } from 'fastify'
import { OctoflowError } from '../errors/octoflow-error.ts'

const LONGEST = 256

/**
 * The `Idempotency-Key` of a request, made the caller's own: two callers may choose the same.
 * @param scope what the key is for; the same key may be used for different things.
 * @returns `null` without one.
 */
export function idempotencyKey({ headers, principal }: FastifyRequest, scope: string): string | null {
  const key = headers['idempotency-key']
  if (key === undefined || key === '') return null
  if (typeof key !== 'string' || key.length > LONGEST)
    throw new OctoflowError('invalid_header', { header: 'Idempotency-Key', reason: `it is longer than ${LONGEST} characters` })
  return JSON.stringify([scope, principal.name, key])
}
