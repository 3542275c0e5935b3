import type { Instant } from '../lib/time.ts'

/** Roles from the least to the greatest; each may do all that those before it may. */
export const ROLES = ['viewer', 'producer', 'worker', 'operator', 'admin'] as const
export type Role = (typeof ROLES)[number]

export const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text)

/** Whether a role allows what `needed` allows. */
export const allows = (role: Role, needed: Role): boolean => ROLES.indexOf(role) >= ROLES.indexOf(needed)

export const greatestRole = (roles: readonly Role[]): Role | null =>
  roles.reduce<Role | null>((best, role) => (best === null || allows(role, best) ? role : best), null)

/** The queues that a credential is limited to; `null` for all. */
export type QueueScope = readonly string[] | null

export const inScope = (scope: QueueScope, queue: string | null): boolean =>
  scope === null || (queue !== null && scope.includes(queue))

/** Who makes a call. */
export interface Principal {
  /** For logs and the timeline: `key:k_…`, `static`, `oidc:subject`, `handler:name`. */
  readonly name: string
  readonly role: Role
  readonly queues: QueueScope
}

/** An API key as stored: of the key itself only a hash. */
export interface ApiKey {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly queues: QueueScope
  readonly createdAt: Instant
  readonly createdBy: string
  readonly expiresAt: Instant | null
  readonly lastUsedAt: Instant | null
}
