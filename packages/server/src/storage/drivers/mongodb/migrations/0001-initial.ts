import type { Stage } from '../../../sql/stages.ts'
import type { Migration } from '../migrations.ts'
import { createIndexes, type Index, SPARSE } from './indexes.ts'

/** Most documents come to sparse and partial ones, and go, with what a job waits for. */
const INDEXES: readonly Index[] = [
  // Claims read one stage in order of priority and id.
  ['requests', { queue: 1, stage: 1, priority: 1, _id: 1 }],
  // Lists merge ranges in order of id.
  ['requests', { queue: 1, stage: 1, _id: 1 }],
  ['requests', { queue: 1, stage: 1, runAt: 1 }, { partialFilterExpression: { stage: 1 satisfies typeof Stage.scheduled } }],
  [
    'requests',
    { queue: 1, concurrencyKey: 1, stage: 1, priority: 1, _id: 1 },
    { partialFilterExpression: { concurrencyKey: { $exists: true } } },
  ],
  ['requests', { queue: 1, holds: 1 }, { partialFilterExpression: { holds: { $exists: true } } }],
  ['requests', { leaseUntil: 1 }, SPARSE],
  ['requests', { terms: 1, _id: 1 }, { partialFilterExpression: { terms: { $exists: true } } }],
  ['requests', { receivedAt: 1, _id: 1 }],
  ['requests', { deletedAt: 1 }, SPARSE],
  ['lanes', { queue: 1, wakeAt: 1 }],
  ['lanes', { idleAt: 1 }, SPARSE],
  ['lanes', { deletedAt: 1 }, SPARSE],
  ['attempts', { jobId: 1, fence: 1 }],
  ['events', { jobId: 1, _id: 1 }],
  ['stats', { span: 1, start: 1 }],
  ['idempotency', { expiresAt: 1 }],
  ['workers', { lastSeenAt: 1 }],
  ['operations', { state: 1, _id: 1 }],
  ['keys', { hash: 1 }],
]

/** Version 1: the indexes of all collections, which come to be with them. */
export const initial: Migration = { name: 'initial', up: (db) => createIndexes(db, INDEXES) }
