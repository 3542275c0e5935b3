import type { Instant } from '../../../lib/time.ts'
import type { EventKind, EventLevel, JobEvent } from '../../../model/event.ts'
import type { EventStore, NewEvent } from '../../contract/events.ts'
import type { Page } from '../../contract/page.ts'
import { Coalescer } from '../../sql/coalescer.ts'
import { pageOf, pageQuery } from '../../sql/paging.ts'
import type { Value } from './connection.ts'
import type { Database } from './database.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

type Append = Parameters<EventStore['append']>[0]

/** Events that one transaction stores. */
const TOGETHER = 500

export class PostgresEvents implements EventStore {
  readonly #db: Database
  readonly #appends: Coalescer<Append, readonly (number | null)[]>

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#appends = new Coalescer(
      (calls) => writer.transact((transaction) => append(transaction, calls)),
      ({ items }) => items.length,
      TOGETHER,
    )
  }

  append(params: Append): Promise<readonly (number | null)[]> {
    return this.#db.underWay(() => this.#appends.do(params))
  }

  async list({ jobId, page }: Parameters<EventStore['list']>[0]): Promise<Page<JobEvent>> {
    const { where, order, after, limit } = pageQuery(page, 'id', '$2')
    const sizes = `SELECT id, octet_length(message) + coalesce(octet_length(data), 0) FROM octoflow_events
      WHERE job_id = $1 AND ${where} ${order} LIMIT $3`
    const rows = await this.#db.rows<[number, number]>(sizes, jobId, after, limit)
    const { items, next } = pageOf(
      rows.map(([id, size]) => ({ id, size })),
      page,
      ({ size }) => size,
    )
    const found = await this.#db.rows<EventRecord>(SELECT, array(items.map(({ id }) => id)))
    const events = new Map(found.map((record) => [record[0], toEvent(record)]))
    return { items: items.flatMap(({ id }) => events.get(id) ?? []), next }
  }
}

async function append(transaction: Transaction, calls: readonly Append[]): Promise<readonly (readonly (number | null)[])[]> {
  const said = calls.flatMap(({ now, items }) => items.map(({ jobId, event }) => [jobId, event, now] as const))
  const rows = said.length === 0 ? [] : await transaction.rows<[number, number]>(APPEND, ...columnsOf(said))
  const ids = new Map(rows)
  let at = 0
  return calls.map(({ items }) => items.map(() => ids.get(++at) ?? null))
}

/** Records events of jobs that exist. */
export function sendEvents(
  transaction: Transaction,
  events: readonly (readonly [jobId: number, event: NewEvent, now: Instant])[],
): void {
  if (events.length > 0) transaction.send(INSERT, ...columnsOf(events))
}

/** What Octoflow itself did to jobs, on their timelines. */
export function note(transaction: Transaction, jobIds: readonly number[], message: string, now: Instant): void {
  const event: NewEvent = { kind: 'system', level: 'info', message, data: null, at: null }
  sendEvents(
    transaction,
    jobIds.map((id) => [id, event, now]),
  )
}

const columnsOf = (events: readonly (readonly [jobId: number, event: NewEvent, now: Instant])[]): Value[] => [
  array(events.map(([jobId]) => jobId)),
  array(events.map(([, { at }, now]) => at ?? now)),
  textArray(events.map(([, { kind }]) => kind)),
  textArray(events.map(([, { level }]) => level)),
  textArray(events.map(([, { message }]) => message)),
  textArray(events.map(([, { data }]) => data)),
]

type EventRecord = readonly [
  id: number,
  jobId: number,
  at: Instant,
  kind: EventKind,
  level: EventLevel,
  message: string,
  data: string | null,
]

const toEvent = ([id, jobId, at, kind, level, message, data]: EventRecord): JobEvent => ({
  id,
  jobId,
  at,
  kind,
  level,
  message,
  data,
})

const SELECT = 'SELECT id, job_id, at, kind, level, message, data FROM octoflow_events WHERE id = ANY ($1::bigint[])'

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
