import type { Instant } from '../../lib/time.ts'
import type { ApiKey, Role } from '../../model/access.ts'

export type KeyRecord = readonly [
  id: string,
  name: string,
  role: Role,
  queues: string | null,
  createdAt: Instant,
  createdBy: string,
  expiresAt: Instant | null,
  lastUsedAt: Instant | null,
]

export const toKey = ([id, name, role, queues, createdAt, createdBy, expiresAt, lastUsedAt]: KeyRecord): ApiKey => ({
  id,
  name,
  role,
  queues: queues === null ? null : JSON.parse(queues),
  createdAt,
  createdBy,
  expiresAt,
  lastUsedAt,
})

export const KEY_COLUMNS = 'id, name, role, queues, created_at, created_by, expires_at, last_used_at'
