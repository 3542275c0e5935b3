import { MINUTE } from '../../../lib/time.ts'
import type { EventKind, EventLevel } from '../../../model/event.ts'
import type { StatsSums } from '../../contract/stats.ts'
import type { RecordKind } from '../../contract/transfer.ts'
import { KEY_COLUMNS, type KeyRecord, toKey } from '../../sql/access.ts'
import { LOG_EVENT_COLUMNS, type LogEventRow, toLogEvent } from '../../sql/log-event-columns.ts'
import { OPERATION_COLUMNS, type OperationRecord, toOperation } from '../../sql/operations.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { QUEUE_COLUMNS, type QueueRecord, settingsOf, settingsValues } from '../../sql/queues.ts'
import { toWorker, WORKER_COLUMNS, type WorkerRecord } from '../../sql/workers.ts'
import { requests } from './transfer-requests.ts'
import { type Cell, inRows, type RecordTable } from './transfer-table.ts'

const counters: RecordTable<'counters'> = {
  table: 'octoflow_probe',
  count: async () => 1,
  async read(from) {
    const [row] = await from.rows<[number, number, number, number, number]>(SELECT_COUNTERS)
    const [nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent] = row!
    return { records: [{ nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent }], next: null }
  },
  async insert(transaction, records) {
    for (const { nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent } of records) {
      transaction.send(SET_COUNTER, 'octoflow_ids', nextRequest)
      transaction.send(SET_COUNTER, 'octoflow_events_id_seq', nextEvent)
      transaction.send(SET_COUNTER, 'octoflow_operations_id_seq', nextOperation)
      transaction.send("SELECT setval('octoflow_clock', $1::bigint)", lastReceivedAt)
      transaction.send("SELECT setval('octoflow_log_event_sequence', $1::bigint)", nextLogEvent - 1)
    }
  },
}

const queues = inRows<'queue', QueueRecord>({
  table: 'octoflow_queues',
  key: ['q.id'],
  select: (where) => `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE ${where}`,
  toRecord: (row) => ({ name: row[1], createdAt: row[2], version: row[3], ...settingsOf(row) }),
  columns: {
    name: 'text',
    created_at: 'bigint',
    version: 'integer',
    paused: 'boolean',
    concurrency: 'integer',
    key_concurrency: 'integer',
    rate_limit: 'text',
    key_rate_limit: 'text',
    max_attempts: 'integer',
    backoff: 'text',
    retention: 'bigint',
    handler: 'text',
  },
  toRow: ({ name, createdAt, version, ...settings }) => [name, createdAt, version, ...(settingsValues(settings) as Cell[])],
})

type EventRow = readonly [
  id: number,
  jobId: number,
  at: number,
  kind: EventKind,
  level: EventLevel,
  message: string,
  data: string | null,
]

const events = inRows<'event', EventRow>({
  table: 'octoflow_events',
  key: ['id'],
  size: 'octet_length(message) + coalesce(octet_length(data), 0)',
  select: (where) => `SELECT id, job_id, at, kind, level, message, data FROM octoflow_events WHERE ${where}`,
  toRecord: ([id, jobId, at, kind, level, message, data]) => ({ id, jobId, at, kind, level, message, data }),
  columns: { id: 'bigint', job_id: 'bigint', at: 'bigint', kind: 'text', level: 'text', message: 'text', data: 'text' },
  toRow: ({ id, jobId, at, kind, level, message, data }) => [id, jobId, at, kind, level, message, data],
})

const operations = inRows<'operation', OperationRecord>({
  table: 'octoflow_operations',
  key: ['id'],
  select: (where) => `SELECT ${OPERATION_COLUMNS} FROM octoflow_operations WHERE ${where}`,
  toRecord: (row) => ({ ...toOperation(row), position: row[4], sequence: row[5], upto: row[6] }),
  columns: {
    id: 'bigint',
    action: 'text',
    filter: 'text',
    state: 'text',
    position: 'bigint',
    sequence: 'bigint',
    upto: 'bigint',
    examined: 'bigint',
    changed: 'bigint',
    skipped: 'bigint',
    created_at: 'bigint',
    created_by: 'text',
    finished_at: 'bigint',
  },
  toRow: (operation) => [
    operation.id,
    operation.action,
    JSON.stringify(operation.filter),
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
  key: ['id'],
  select: (where) => `SELECT ${WORKER_COLUMNS} FROM octoflow_workers WHERE ${where}`,
  toRecord: toWorker,
  columns: {
    id: 'text',
    queues: 'text',
    first_seen_at: 'bigint',
    last_seen_at: 'bigint',
    draining: 'boolean',
    agent: 'text',
  },
  toRow: ({ id, queues: served, firstSeenAt, lastSeenAt, draining, agent }) => [
    id,
    JSON.stringify(served),
    firstSeenAt,
    lastSeenAt,
    draining,
    agent,
  ],
})

const keys = inRows<'key', readonly [...KeyRecord, hash: string]>({
  table: 'octoflow_keys',
  key: ['id'],
  select: (where) => `SELECT ${KEY_COLUMNS}, hash FROM octoflow_keys WHERE ${where}`,
  toRecord: (row) => ({ ...toKey(row.slice(0, -1) as unknown as KeyRecord), hash: row.at(-1) as string }),
  columns: {
    id: 'text',
    hash: 'text',
    name: 'text',
    role: 'text',
    queues: 'text',
    created_at: 'bigint',
    created_by: 'text',
    expires_at: 'bigint',
    last_used_at: 'bigint',
  },
  toRow: ({ id, hash, name, role, queues: scope, createdAt, createdBy, expiresAt, lastUsedAt }) => [
    id,
    hash,
    name,
    role,
    scope === null ? null : JSON.stringify(scope),
    createdAt,
    createdBy,
    expiresAt,
    lastUsedAt,
  ],
})

type IdempotencyRow = readonly [
  key: string,
  fingerprint: string | null,
  requestId: number | null,
  hasJob: boolean | null,
  status: number | null,
  body: string | null,
  expiresAt: number,
]

const idempotency = inRows<'idempotency', IdempotencyRow>({
  table: 'octoflow_idempotency',
  key: ['key'],
  size: 'coalesce(octet_length(body), 0)',
  select: (where) =>
    `SELECT key, fingerprint, request_id, has_job, status, body, expires_at FROM octoflow_idempotency WHERE ${where}`,
  toRecord: ([key, fingerprint, id, hasJob, status, body, expiresAt]) => ({
    key,
    fingerprint,
    submitted: id === null ? null : { id, hasJob: hasJob === true },
    answer: status === null ? null : { status, body: body ?? '' },
    expiresAt,
  }),
  columns: {
    key: 'text',
    fingerprint: 'text',
    request_id: 'bigint',
    has_job: 'boolean',
    status: 'integer',
    body: 'text',
    expires_at: 'bigint',
  },
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

const usage = inRows<'usage', readonly [queueId: number, key: string, slice: number, used: number, queue: string]>({
  table: 'octoflow_rate_usage',
  key: ['u.queue_id', 'u.key', 'u.slice'],
  select: (where) => `SELECT u.queue_id, u.key, u.slice, u.used, q.name
    FROM octoflow_rate_usage u JOIN octoflow_queues q ON q.id = u.queue_id WHERE ${where}`,
  toRecord: ([, key, slice, used, queue]) => ({ queue, key: key === '' ? null : key.slice(1), slice, used }),
  columns: { queue_id: 'integer', key: 'text', slice: 'bigint', used: 'integer' },
  toRow: ({ queue, key, slice, used }, ids) => [ids.get(queue)!, key === null ? '' : `k${key}`, slice, used],
  queueOf: ({ queue }) => queue,
})

type StatsRow = readonly [queueId: number, span: number, start: number, queue: string, ...sums: number[]]

/** What the connections have added to, told as one; stored as what is past is. */
const inSlots = inRows<'stats', StatsRow>({
  table: 'octoflow_stats',
  key: ['s.queue_id', 's.span', 's.start'],
  select: (where) => `SELECT s.queue_id, s.span, s.start, q.name, ${STATS_COLUMNS.map((column) => `sum(s.${column})`).join()}
    FROM octoflow_stats s JOIN octoflow_queues q ON q.id = s.queue_id WHERE ${where} GROUP BY s.queue_id, s.span, s.start, q.name`,
  toRecord([, span, start, queue, ...sums]) {
    const named = Object.fromEntries(STATS_COLUMNS.map((column, index) => [column, sums[index]!])) as unknown as StatsSums
    return { queue, span: span * MINUTE, at: start * MINUTE, ...named }
  },
  columns: {
    queue_id: 'integer',
    span: 'smallint',
    start: 'integer',
    slot: 'integer',
    submitted: 'bigint',
    started: 'bigint',
    completed: 'bigint',
    failed: 'bigint',
    dead: 'bigint',
    cancelled: 'bigint',
    expired: 'bigint',
    waited: 'double precision',
    ran: 'double precision',
    finished: 'bigint',
  },
  toRow: ({ queue, span, at, ...sums }, ids) => [
    ids.get(queue)!,
    span / MINUTE,
    at / MINUTE,
    FOLDED,
    ...STATS_COLUMNS.map((column) => sums[column]),
  ],
  queueOf: ({ queue }) => queue,
})

/** The slot of roll-ups to which no connection adds any more. */
const FOLDED = -1

const stats: RecordTable<'stats'> = {
  ...inSlots,
  count: async (from) => (await from.rows<[number]>(COUNT_STATS))[0]![0],
}

const logEvents: RecordTable<'logEvent'> = {
  ...inRows<'logEvent', readonly [sequence: number, ...LogEventRow]>({
    table: 'octoflow_log_events',
    key: ['sequence'],
    size: 'octet_length(document)',
    select: (where) => `SELECT sequence, ${LOG_EVENT_COLUMNS} FROM octoflow_log_events WHERE ${where}`,
    toRecord: ([sequence, ...row]) => ({ sequence, ...toLogEvent(row) }),
    columns: {},
    toRow: () => [],
  }),
  insert: async (transaction, records) => transaction.logEvents.restore(records),
}

const followers = inRows<'follower', readonly [name: string, sequence: number]>({
  table: 'octoflow_log_event_followers',
  key: ['name'],
  select: (where) => `SELECT name, sequence FROM octoflow_log_event_followers WHERE ${where}`,
  toRecord: ([name, sequence]) => ({ name, sequence }),
  columns: { name: 'text', sequence: 'bigint' },
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

const nextOf = (sequence: string): string =>
  `(SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM ${sequence})`

const SELECT_COUNTERS = `SELECT ${nextOf('octoflow_ids')}, (SELECT greatest(last_value, 0) FROM octoflow_clock),
  ${nextOf('octoflow_events_id_seq')}, ${nextOf('octoflow_operations_id_seq')},
  (SELECT last_value + 1 FROM octoflow_log_event_sequence)`

const SET_COUNTER = 'SELECT setval($1::text::regclass, greatest($2::bigint - 1, 1), $2::bigint > 1)'

const COUNT_STATS = 'SELECT count(*) FROM (SELECT DISTINCT queue_id, span, start FROM octoflow_stats) AS s'
