import { describe } from 'node:test'
import { access } from './access.ts'
import { atomicity } from './atomicity.ts'
import { cancelling } from './cancelling.ts'
import { claims } from './claims.ts'
import { closing } from './closing.ts'
import { concurrencyKeys } from './concurrency-keys.ts'
import { deleting } from './deleting.ts'
import { editing } from './editing.ts'
import { events } from './events.ts'
import { filters } from './filters.ts'
import { declareWith, type Open } from './harness.ts'
import { idempotencyKeys } from './idempotency-keys.ts'
import { leadership } from './leadership.ts'
import { leases } from './leases.ts'
import { listing } from './listing.ts'
import { logEventOrders } from './log-event-orders.ts'
import { logEvents } from './log-events.ts'
import { migrations } from './migrations.ts'
import { operations } from './operations.ts'
import { outcomes } from './outcomes.ts'
import { queues } from './queues.ts'
import { randomWalks } from './random-walks.ts'
import { rateLimits } from './rate-limits.ts'
import { reports } from './reports.ts'
import { requests } from './requests.ts'
import { retrying } from './retrying.ts'
import { roundTrips } from './round-trips.ts'
import { signals } from './signals.ts'
import { stats } from './stats.ts'
import { transfer } from './transfer.ts'
import { uniqueKeys } from './unique-keys.ts'
import { upkeep } from './upkeep.ts'
import { waiting } from './waiting.ts'
import { workers } from './workers.ts'

const GROUPS = {
  requests,
  'idempotency keys': idempotencyKeys,
  'unique keys': uniqueKeys,
  claims,
  'concurrency keys': concurrencyKeys,
  'rate limits': rateLimits,
  leases,
  outcomes,
  reports,
  cancelling,
  retrying,
  editing,
  deleting,
  'random walks': randomWalks,
  waiting,
  signals,
  queues,
  operations,
  events,
  listing,
  filters,
  stats,
  workers,
  access,
  leadership,
  'log events': logEvents,
  'the orders of log events': logEventOrders,
  transfer,
  upkeep,
  'round trips': roundTrips,
  atomicity,
  migrations,
  closing,
}

interface Driver {
  readonly name: string
  readonly open: Open
  /** Why its tests cannot be run here. */
  readonly skip?: string | false
  /** How many groups are run at once: more than one where the database server leaves a processor idle between answers. */
  readonly concurrency?: number
}

/**
 * The law for every storage driver: what `storage/contract/` promises, as tests. A driver is an argument; the suite knows
 * nothing of it but the contract.
 */
export function conformance({ name, open, skip = false, concurrency = 1 }: Driver): void {
  describe(`${name} keeps the storage contract`, { skip, concurrency }, () => {
    for (const [title, group] of Object.entries(GROUPS)) describe(title, () => group(declareWith(open), open))
  })
}
