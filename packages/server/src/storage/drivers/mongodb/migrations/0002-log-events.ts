import { LOG_EVENT_FIELDS } from '../../../../model/log-event.ts'
import type { Migration } from '../migrations.ts'
import { createIndexes, type Index, SPARSE } from './indexes.ts'

/** All of them have events in the order in which they are read; what is left of deleted ones is in none but the last. */
const INDEXES: readonly Index[] = [
  ['logEvents', { sequence: 1 }, SPARSE],
  ['logEvents', { at: 1, sequence: 1 }, SPARSE],
  ['logEvents', { type: 1, at: 1, sequence: 1 }, SPARSE],
  ...LOG_EVENT_FIELDS.map(
    (field): Index => [
      'logEvents',
      { [field]: 1, at: 1, sequence: 1 },
      { partialFilterExpression: { [field]: { $exists: true } } },
    ],
  ),
  ['logEvents', { deletedAt: 1 }, SPARSE],
  ['logEventCounts', { span: 1, start: 1, type: 1 }],
  ['logEventCounts', { deletedAt: 1 }, SPARSE],
]

/** Version 2: log events of other systems. */
export const logEvents: Migration = { name: 'log events', up: (db) => createIndexes(db, INDEXES) }
