import type {} from '@fastify/swagger'
import type {} from 'fastify'
import type { Authenticator } from '../core/access/authenticator.ts'
import type { Keys } from '../core/access/keys.ts'
import type { CaptureWork } from '../core/engine/capture-work.ts'
import type { Roster } from '../core/engine/roster.ts'
import type { Work } from '../core/engine/work.ts'
import type { Feed } from '../core/feed.ts'
import type { Attention } from '../core/insight/attention.ts'
import type { Reports } from '../core/insight/statistics.ts'
import type { DeadLetters } from '../core/jobs/dead-letters.ts'
import type { Intake } from '../core/jobs/intake.ts'
import type { Jobs } from '../core/jobs/jobs.ts'
import type { Operations } from '../core/jobs/operations.ts'
import type { Queues } from '../core/jobs/queues.ts'
import type { Requests } from '../core/jobs/requests.ts'
import type { LogEvents } from '../core/log-events/log-events.ts'
import type { LogEventTail } from '../core/log-events/tail.ts'
import type { Ports } from '../core/ports.ts'
import type { Principal, Role } from '../model/access.ts'

/** What the HTTP APIs are made of: the core's parts, and what they themselves need to know. */
export interface HttpContext {
  readonly ports: Ports
  readonly version: string
  readonly authenticator: Authenticator
  readonly intake: Intake
  readonly jobs: Jobs
  readonly deadLetters: DeadLetters
  readonly requests: Requests
  readonly queues: Queues
  readonly operations: Operations
  readonly work: Work
  readonly captureWork: CaptureWork
  readonly roster: Roster
  readonly keys: Keys
  readonly reports: Reports
  readonly attention: Attention
  readonly feed: Feed
  readonly logEvents: LogEvents
  readonly logEventTail: LogEventTail
  /** Throws what keeps the server from doing its work. */
  readonly checkReady: () => Promise<void>
}

export interface HttpOptions {
  readonly bodyLimit: number
  readonly trustProxy: boolean | number | readonly string[]
  readonly corsOrigins: readonly string[]
  readonly tls: { readonly certificate: string; readonly key: string } | null
  /** APIs that everybody may call without a credential. */
  readonly publicApis: readonly string[]
  /** For the documentation page's login; `null` without. */
  readonly oauth: { readonly tokenUrl: string; readonly authorizationUrl: string } | null
}

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal
  }

  interface FastifyContextConfig {
    /** Who may call the route: everybody, or a role and those above it. Every route must say so. */
    access?: 'public' | Role
    /** Handles idempotency keys itself, or answers what must not be kept. */
    idempotency?: 'own' | 'unanswerable'
  }
}
