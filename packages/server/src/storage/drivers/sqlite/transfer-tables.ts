import { MINUTE } from '../../../lib/time.ts'
import type { JobEvent } from '../../../model/event.ts'
import type { StatsSums } from '../../contract/stats.ts'
import type { RecordKind } from '../../contract/transfer.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { type KeyRow, toKey } from './access.ts'
import { LOG_EVENT_COLUMNS, type LogEventRow, toLogEvent } from './log-event-rows.ts'
import { OPERATION_COLUMNS, type OperationRow, SELECT_OPERATION, toOperation } from './operations.ts'
import { settingsValues } from './queues.ts'
import { type QueueRecord, QueueRow, SELECT_QUEUE, type Transaction } from './transaction.ts'
import { requests } from './transfer-requests.ts'
import { countOf, inRows, type RecordTable } from './transfer-table.ts'
import { toWorker, type WorkerRow } from './workers.ts'

const queueId = (transaction: Transaction, name: string): number => transaction.findQueue(name)!.id

const counters: RecordTable<'counters'> = {
  count: () => 1,
  read(db) {
    const [nextRequest, lastReceivedAt] = db.row<[number, number]>('SELECT next_id, last_at FROM octoflow_sequence')!
    const last = new Map(db.rows<[string, number]>('SELECT name, seq FROM sqlite_sequence'))
    const next = (table: string): number => (last.get(table) ?? 0) + 1
    const nextEvent = next('octoflow_events')
    const nextOperation = next('octoflow_operations')
    const [nextLogEvent] = db.row<[number]>('SELECT next FROM octoflow_log_event_sequence')!
    return { records: [{ nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent }], next: null }
  },
  insert({ db }, { nextRequest, lastReceivedAt, nextEvent, nextOperation, nextLogEvent }) {
    db.run('UPDATE octoflow_sequence SET next_id = ?, last_at = ?', nextRequest, lastReceivedAt)
    db.run('UPDATE octoflow_log_event_sequence SET next = ?', nextLogEvent)
    for (const [table, next] of [
      ['octoflow_events', nextEvent],
      ['octoflow_operations', nextOperation],
    ] as const) {
      db.run('DELETE FROM sqlite_sequence WHERE name = ?', table)
      db.run('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)', table, next - 1)
    }
  },
}

const queues: RecordTable<'queue'> = {
  count: (db) => countOf(db, 'octoflow_queues'),
  read(db, after, limit) {
    const rows = db.rows<QueueRecord>(`${SELECT_QUEUE} WHERE id > ? ORDER BY id LIMIT ?`, Number(after ?? 0), limit)
    const found = rows.map((row) => new QueueRow(row))
    const records = found.map(({ name, createdAt, version, settings }) => ({ name, createdAt, version, ...settings }))
    return { records, next: found.length < limit ? null : String(found.at(-1)!.id) }
  },
  insert: ({ db }, { name, createdAt, version, ...settings }) =>
    void db.run(INSERT_QUEUE, name, createdAt, version, ...settingsValues(settings)),
}

const events = inRows<'event', JobEvent>({
  table: 'octoflow_events',
  select: 'SELECT id, job_id AS jobId, at, kind, level, message, data FROM octoflow_events t',
  size: 'octet_length(t.message) + ifnull(octet_length(t.data), 0)',
  key: ['id'],
  toRecord: (row) => ({ ...row }),
  columns: ['id', 'job_id', 'at', 'kind', 'level', 'message', 'data'],
  toRow: ({ id, jobId, at, kind, level, message, data }) => [id, jobId, at, kind, level, message, data],
})

const operations = inRows<'operation', OperationRow>({
  table: 'octoflow_operations',
  select: `${SELECT_OPERATION} t`,
  key: ['id'],
  toRecord: (row) => ({ ...toOperation(row), position: row.position, sequence: row.sequence, upto: row.upto }),
  columns: OPERATION_COLUMNS,
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

const workers = inRows<'worker', WorkerRow>({
  table: 'octoflow_workers',
  select: 'SELECT * FROM octoflow_workers t',
  key: ['id'],
  toRecord: toWorker,
  columns: ['id', 'queues', 'first_seen_at', 'last_seen_at', 'draining', 'agent'],
  toRow: ({ id, queues: served, firstSeenAt, lastSeenAt, draining, agent }) => [
    id,
    JSON.stringify(served),
    firstSeenAt,
    lastSeenAt,
    draining ? 1 : 0,
    agent,
  ],
})

const keys = inRows<'key', KeyRow & { readonly hash: string }>({
  table: 'octoflow_keys',
  select: 'SELECT * FROM octoflow_keys t',
  key: ['id'],
  toRecord: (row) => ({ ...toKey(row), hash: row.hash }),
  columns: ['id', 'hash', 'name', 'role', 'queues', 'created_at', 'created_by', 'expires_at', 'last_used_at'],
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

interface IdempotencyRow {
  readonly key: string
  readonly fingerprint: string | null
  readonly request_id: number | null
  readonly has_job: number | null
  readonly status: number | null
  readonly body: string | null
  readonly expires_at: number
}

const idempotency = inRows<'idempotency', IdempotencyRow>({
  table: 'octoflow_idempotency',
  select: 'SELECT * FROM octoflow_idempotency t',
  size: 'ifnull(octet_length(t.body), 0)',
  key: ['key'],
  toRecord: ({ key, fingerprint, request_id: id, has_job: hasJob, status, body, expires_at: expiresAt }) => ({
    key,
    fingerprint,
    submitted: id === null ? null : { id, hasJob: hasJob === 1 },
    answer: status === null ? null : { status, body: body ?? '' },
    expiresAt,
  }),
  columns: ['key', 'fingerprint', 'request_id', 'has_job', 'status', 'body', 'expires_at'],
  toRow: ({ key, fingerprint, submitted, answer, expiresAt }) => [
    key,
    fingerprint,
    submitted?.id ?? null,
    submitted === null ? null : Number(submitted.hasJob),
    answer?.status ?? null,
    answer?.body ?? null,
    expiresAt,
  ],
})

interface UsageRow {
  readonly queue_id: number
  readonly queue: string
  readonly key: string
  readonly slice: number
  readonly used: number
}

const usage = inRows<'usage', UsageRow>({
  table: 'octoflow_rate_usage',
  select: 'SELECT t.*, q.name AS queue FROM octoflow_rate_usage t JOIN octoflow_queues q ON q.id = t.queue_id',
  key: ['queue_id', 'key', 'slice'],
  toRecord: ({ queue, key, slice, used }) => ({ queue, key: key === '' ? null : key.slice(1), slice, used }),
  columns: ['queue_id', 'key', 'slice', 'used'],
  toRow: ({ queue, key, slice, used }, transaction) => [
    queueId(transaction, queue),
    key === null ? '' : `k${key}`,
    slice,
    used,
  ],
})

type StatsRow = { readonly [Column in keyof StatsSums]: number } & {
  readonly queue_id: number
  readonly queue: string
  readonly span: number
  readonly start: number
}

// As floating-point numbers, since `waited` and `ran` may be larger than the largest integer that JavaScript reads.
const SUMS = STATS_COLUMNS.map((column) => `CAST(t.${column} AS REAL) AS ${column}`).join()

const stats = inRows<'stats', StatsRow>({
  table: 'octoflow_stats',
  select: `SELECT t.queue_id, q.name AS queue, t.span, t.start, ${SUMS}
    FROM octoflow_stats t JOIN octoflow_queues q ON q.id = t.queue_id`,
  key: ['queue_id', 'span', 'start'],
  toRecord: ({ queue_id: _, span, start, ...record }) => ({ ...record, span: span * MINUTE, at: start * MINUTE }),
  columns: ['queue_id', 'span', 'start', ...STATS_COLUMNS],
  toRow: ({ queue, span, at, ...sums }, transaction) => [
    queueId(transaction, queue),
    span / MINUTE,
    at / MINUTE,
    ...STATS_COLUMNS.map((column) => sums[column]),
  ],
})

const logEvents: RecordTable<'logEvent'> = {
  ...inRows<'logEvent', LogEventRow>({
    table: 'octoflow_log_events',
    select: `SELECT ${LOG_EVENT_COLUMNS.map((column) => `t.${column}`).join()} FROM octoflow_log_events t`,
    size: 'octet_length(t.document)',
    key: ['sequence'],
    toRecord: (row) => ({ ...toLogEvent(row), sequence: row.sequence }),
    columns: [],
    toRow: () => [],
  }),
  insert: ({ logEvents: rows }, { sequence, ...event }) => rows.restore(event, sequence),
}

interface FollowerRow {
  readonly name: string
  readonly sequence: number
}

const followers = inRows<'follower', FollowerRow>({
  table: 'octoflow_log_event_followers',
  select: 'SELECT t.name, t.sequence FROM octoflow_log_event_followers t',
  key: ['name'],
  toRecord: (row) => ({ ...row }),
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

const INSERT_QUEUE = `INSERT INTO octoflow_queues
  (name, created_at, version, paused, concurrency, key_concurrency, rate_limit, key_rate_limit, max_attempts, backoff, retention, handler)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
