import { EVENT_COLUMNS, type EventRecord, type EventStatements, type Said } from '../../sql/events.ts'
import { pageQuery } from '../../sql/paging.ts'
import type { Queryable, Value } from './connection.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'

export const eventStatements: EventStatements<Queryable, Transaction> = {
  together: 500,
  async append(transaction, said) {
    const ids = new Map(await transaction.rows<[number, number]>(APPEND, ...columnsOf(said)))
    return said.map((_, index) => ids.get(index + 1) ?? null)
  },
  sizes(from, jobId, page) {
    const { where, order, after, limit } = pageQuery(page, 'id', '$2')
    const sql = `SELECT id, octet_length(message) + coalesce(octet_length(data), 0) FROM octoflow_events
      WHERE job_id = $1 AND ${where} ${order} LIMIT $3`
    return from.rows<[number, number]>(sql, jobId, after, limit)
  },
  load: (from, ids) => from.rows<EventRecord>(SELECT, array(ids)),
}

/** Records events of jobs that exist. */
export function sendEvents(transaction: Transaction, events: readonly Said[]): void {
  if (events.length > 0) transaction.send(INSERT, ...columnsOf(events))
}

const columnsOf = (events: readonly Said[]): Value[] => [
  array(events.map(([jobId]) => jobId)),
  array(events.map(([, { at }, now]) => at ?? now)),
  textArray(events.map(([, { kind }]) => kind)),
  textArray(events.map(([, { level }]) => level)),
  textArray(events.map(([, { message }]) => message)),
  textArray(events.map(([, { data }]) => data)),
]

const SELECT = `SELECT ${EVENT_COLUMNS} FROM octoflow_events WHERE id = ANY ($1::bigint[])`

const GIVEN = `unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
  WITH ORDINALITY AS e (job_id, at, kind, level, message, data, n)`

// Numbered in the order in which they were said.
const INSERT = `INSERT INTO octoflow_events (job_id, at, kind, level, message, data)
  SELECT job_id, at, kind, level, message, data FROM ${GIVEN} ORDER BY n`

// The ids are taken before the rows are written, to tell which is whose. The jobs are kept from being deleted meanwhile.
const APPEND = `WITH e AS MATERIALIZED (SELECT * FROM ${GIVEN}),
  job AS MATERIALIZED (
    SELECT r.id FROM octoflow_requests r WHERE r.id = ANY (ARRAY(SELECT job_id FROM e)) AND r.stage IS NOT NULL
     ORDER BY r.id FOR KEY SHARE),
  numbered AS MATERIALIZED (
    SELECT e.*, nextval(pg_get_serial_sequence('octoflow_events', 'id')) AS id FROM e
     WHERE EXISTS (SELECT FROM job WHERE job.id = e.job_id) ORDER BY n),
  inserted AS (
    INSERT INTO octoflow_events (id, job_id, at, kind, level, message, data) OVERRIDING SYSTEM VALUE
    SELECT id, job_id, at, kind, level, message, data FROM numbered)
  SELECT n, id FROM numbered`
