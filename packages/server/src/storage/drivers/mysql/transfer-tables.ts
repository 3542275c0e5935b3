import { MINUTE } from '../../../lib/time.ts'
import type { StatsSums } from '../../contract/stats.ts'
import type { RecordKind } from '../../contract/transfer.ts'
import { KEY_COLUMNS, type KeyRecord, toKey } from '../../sql/access.ts'
import { EVENT_COLUMNS, type EventRecord, toEvent } from '../../sql/events.ts'
import { LOG_EVENT_COLUMNS, type LogEventRow, toLogEvent } from '../../sql/log-event-columns.ts'
import { OPERATION_COLUMNS, type OperationRecord, toOperation } from '../../sql/operations.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { settingsOf, settingsValues } from '../../sql/queues.ts'
import { toWorker, WORKER_COLUMNS, type WorkerRecord } from '../../sql/workers.ts'
import { QUEUE_COLUMNS, type QueueRecord } from './queue-rows.ts'
import { requests } from './transfer-requests.ts'
import { countOf, inRows, type RecordTable } from './transfer-table.ts'
import { FOLDED } from './upkeep.ts'

const counters: RecordTable<'counters'> = {
  count: () => Promise.resolve(1),
  async read(from) {
    const [sequences, logEventSequences, tables] = await Promise.all([
      from.rows<[number, number]>('SELECT next_id, last_at FROM octoflow_sequence'),
      from.rows<[number]>('SELECT next FROM octoflow_log_event_sequence'),
      from.rows<[string, number | null]>(SELECT_NEXT_IDS),
    ])
    const [nextRequest, lastReceivedAt] = sequences[0]!
    const next = new Map(tables)
    const nextEvent = next.get('octoflow_events') ?? 1
    const nextOperation = next.get('octoflow_operations') ?? 1
    const [nextLogEvent] = logEventSequences[0]!
    return { records: [{ nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent }], next: null }
  },
  async insert(transaction, records) {
    for (const { nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent } of records) {
      transaction.send('UPDATE octoflow_sequence SET next_id = ?, last_at = ?', nextRequest, lastReceivedAt)
      transaction.send('UPDATE octoflow_log_event_sequence SET next = ?', nextLogEvent)
      // The server goes on from the highest id that there ever was.
      if (nextEvent > 1) transaction.send(INSERT_LAST_EVENT, nextEvent - 1)
      if (nextOperation > 1) transaction.send(INSERT_LAST_OPERATION, nextOperation - 1)
      transaction.send('DELETE FROM octoflow_events')
      transaction.send('DELETE FROM octoflow_operations')
    }
  },
}

const queues: RecordTable<'queue'> = {
  count: (from) => countOf(from, 'octoflow_queues', ['id']),
  async read(from, after, limit) {
    const rows = await from.rows<QueueRecord>(SELECT_QUEUES, Number(after ?? 0), limit)
    const records = rows.map((row) => ({ name: row[1], createdAt: row[2], version: row[3], ...settingsOf(row) }))
    return { records, next: rows.length < limit ? null : String(rows.at(-1)![0]) }
  },
  async insert(transaction, records) {
    transaction.send(
      INSERT_QUEUES,
      records.map(({ name, createdAt, version, ...settings }) => [name, createdAt, version, ...settingsValues(settings)]),
    )
  },
}

const events = inRows<'event', EventRecord>({
  table: 'octoflow_events',
  select: `SELECT ${EVENT_COLUMNS} FROM octoflow_events t`,
  size: 'OCTET_LENGTH(t.message) + COALESCE(OCTET_LENGTH(t.data), 0)',
  key: ['id'],
  toRecord: toEvent,
  columns: [EVENT_COLUMNS],
  toRow: ({ id, jobId, at, kind, level, message, data }) => [id, jobId, at, kind, level, message, data],
})

const operations = inRows<'operation', OperationRecord>({
  table: 'octoflow_operations',
  select: `SELECT ${OPERATION_COLUMNS} FROM octoflow_operations t`,
  key: ['id'],
  toRecord: (row) => ({ ...toOperation(row), position: row[4], sequence: row[5], upto: row[6] }),
  columns: [OPERATION_COLUMNS],
  toRow: ({ filter, ...operation }) => [
    operation.id,
    operation.action,
    JSON.stringify(filter),
    operation.state,
    operation.position,
    operation.sequence,
    operation.upto,
    operation.examined,
    operation.changed,
    operation.skipped,
    operation.createdAt,
    operation.createdBy,
    operation.finishedAt,
  ],
})

const workers = inRows<'worker', WorkerRecord>({
  table: 'octoflow_workers',
  select: `SELECT ${WORKER_COLUMNS} FROM octoflow_workers t`,
  key: ['id'],
  toRecord: toWorker,
  columns: [WORKER_COLUMNS],
  toRow: ({ id, queues: served, firstSeenAt, lastSeenAt, draining, agent }) => [
    id,
    JSON.stringify(served),
    firstSeenAt,
    lastSeenAt,
    draining,
    agent,
  ],
})

const keys = inRows<'key', readonly [...key: KeyRecord, hash: string]>({
  table: 'octoflow_keys',
  select: `SELECT ${KEY_COLUMNS}, hash FROM octoflow_keys t`,
  key: ['id'],
  toRecord: ([id, name, role, scope, createdAt, createdBy, expiresAt, lastUsedAt, hash]) => ({
    ...toKey([id, name, role, scope, createdAt, createdBy, expiresAt, lastUsedAt]),
    hash,
  }),
  columns: [KEY_COLUMNS, 'hash'],
  toRow: ({ id, hash, name, role, queues: scope, createdAt, createdBy, expiresAt, lastUsedAt }) => [
    id,
    name,
    role,
    scope === null ? null : JSON.stringify(scope),
    createdAt,
    createdBy,
    expiresAt,
    lastUsedAt,
    hash,
  ],
})

type IdempotencyRow = readonly [
  key: string,
  fingerprint: string | null,
  requestId: number | null,
  hasJob: number | null,
  status: number | null,
  body: string | null,
  expiresAt: number,
]

const IDEMPOTENCY_COLUMNS = 'name, fingerprint, request_id, has_job, status, body, expires_at'

const idempotency = inRows<'idempotency', IdempotencyRow>({
  table: 'octoflow_idempotency',
  select: `SELECT ${IDEMPOTENCY_COLUMNS} FROM octoflow_idempotency t`,
  size: 'COALESCE(OCTET_LENGTH(t.body), 0)',
  key: ['name'],
  toRecord: ([key, fingerprint, id, hasJob, status, body, expiresAt]) => ({
    key,
    fingerprint,
    submitted: id === null ? null : { id, hasJob: hasJob === 1 },
    answer: status === null ? null : { status, body: body ?? '' },
    expiresAt,
  }),
  columns: [IDEMPOTENCY_COLUMNS],
  toRow: ({ key, fingerprint, submitted, answer, expiresAt }) => [
    key,
    fingerprint,
    submitted?.id ?? null,
    submitted?.hasJob ?? null,
    answer?.status ?? null,
    answer?.body ?? null,
    expiresAt,
  ],
})

type UsageRow = readonly [queueId: number, counter: string, slice: number, used: number, queue: string]

const usage = inRows<'usage', UsageRow>({
  table: 'octoflow_rate_usage',
  select: `SELECT t.queue_id, t.counter, t.slice, t.used, q.name
    FROM octoflow_rate_usage t JOIN octoflow_queues q ON q.id = t.queue_id`,
  key: ['queue_id', 'counter', 'slice'],
  toRecord: ([, counter, slice, used, queue]) => ({ queue, key: counter === '' ? null : counter.slice(1), slice, used }),
  columns: ['queue_id', 'counter', 'slice', 'used'],
  toRow: ({ queue, key, slice, used }, queueIds) => [queueIds.get(queue)!, key === null ? '' : `k${key}`, slice, used],
})

type StatsRow = readonly [queueId: number, span: number, start: number, queue: string, ...sums: number[]]

const stats = inRows<'stats', StatsRow>({
  table: 'octoflow_stats',
  select: `SELECT t.queue_id, t.span, t.start, q.name, ${STATS_COLUMNS.map((column) => `SUM(t.${column})`).join()}
    FROM octoflow_stats t JOIN octoflow_queues q ON q.id = t.queue_id`,
  groupBy: 'GROUP BY t.queue_id, t.span, t.start, q.name',
  key: ['queue_id', 'span', 'start'],
  toRecord: ([, span, start, queue, ...sums]) => ({
    queue,
    span: span * MINUTE,
    at: start * MINUTE,
    ...(Object.fromEntries(STATS_COLUMNS.map((column, index) => [column, sums[index]!])) as unknown as StatsSums),
  }),
  columns: ['queue_id', 'span', 'start', 'slot', ...STATS_COLUMNS],
  toRow: ({ queue, span, at, ...sums }, queueIds) => [
    queueIds.get(queue)!,
    span / MINUTE,
    at / MINUTE,
    FOLDED,
    ...STATS_COLUMNS.map((column) => sums[column]),
  ],
})

const logEvents: RecordTable<'logEvent'> = {
  ...inRows<'logEvent', readonly [sequence: number, ...LogEventRow]>({
    table: 'octoflow_log_events',
    select: `SELECT sequence, ${LOG_EVENT_COLUMNS} FROM octoflow_log_events t`,
    size: 't.size',
    key: ['sequence'],
    toRecord: ([sequence, ...row]) => ({ sequence, ...toLogEvent(row) }),
    columns: [],
    toRow: () => [],
  }),
  insert: async (transaction, records) => transaction.logEvents.restore(records),
}

const followers = inRows<'follower', readonly [name: string, sequence: number]>({
  table: 'octoflow_log_event_followers',
  select: 'SELECT name, sequence FROM octoflow_log_event_followers t',
  key: ['name'],
  toRecord: ([name, sequence]) => ({ name, sequence }),
  columns: ['name', 'sequence'],
  toRow: ({ name, sequence }) => [name, sequence],
})

export const RECORD_TABLES: { readonly [Kind in RecordKind]: RecordTable<Kind> } = {
  counters,
  queue: queues,
  request: requests,
  event: events,
  operation: operations,
  worker: workers,
  key: keys,
  idempotency,
  usage,
  stats,
  logEvent: logEvents,
  follower: followers,
}

const SELECT_NEXT_IDS = `SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ('octoflow_events', 'octoflow_operations')`

const INSERT_LAST_EVENT = "INSERT INTO octoflow_events (id, job_id, at, kind, level, message) VALUES (?, 0, 0, '', '', '')"

const INSERT_LAST_OPERATION = `INSERT INTO octoflow_operations (id, action, filter, state, position, upto, created_at, created_by)
  VALUES (?, '', '', '', 0, 0, 0, '')`

const SELECT_QUEUES = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id > ? ORDER BY q.id LIMIT ?`

const INSERT_QUEUES = `INSERT INTO octoflow_queues (name, created_at, version, paused, concurrency, key_concurrency, rate_limit,
  key_rate_limit, max_attempts, backoff, retention, handler) VALUES ?`
