import type { FastifyRequest } from 'fastify'

/** Clients of this API do not say who they are; their address has to do. */
export const workerName = ({ ip }: FastifyRequest): string => `capture-api@${ip}`
