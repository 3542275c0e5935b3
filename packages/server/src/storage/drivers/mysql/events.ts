import type { Instant } from '../../../lib/time.ts'
import type { EventKind, EventLevel, JobEvent } from '../../../model/event.ts'
import type { EventStore, NewEvent } from '../../contract/events.ts'
import type { Page } from '../../contract/page.ts'
import { Coalescer } from '../../sql/coalescer.ts'
import { pageOf, pageQuery } from '../../sql/paging.ts'
import { Stage } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import type { Transaction } from './transaction.ts'
import { inPortions, type Scalar } from './values.ts'
import type { Writer } from './writer.ts'

type Append = Parameters<EventStore['append']>[0]

/** Events that one transaction stores. */
const TOGETHER = 2_000

export class MysqlEvents implements EventStore {
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
    const { where, order, after, limit } = pageQuery(page, 'id')
    const sizes = `SELECT id, LENGTH(message) + COALESCE(LENGTH(data), 0) FROM octoflow_events
      WHERE job_id = ? AND ${where} ${order} LIMIT ?`
    const rows = await this.#db.rows<[number, number]>(sizes, jobId, after, limit)
    const { items, next } = pageOf(
      rows.map(([id, size]) => ({ id, size })),
      page,
      ({ size }) => size,
    )
    const found = await this.#db.rows<EventRecord>(
      SELECT,
      items.map(({ id }) => id),
    )
    const events = new Map(found.map((record) => [record[0], toEvent(record)]))
    return { items: items.flatMap(({ id }) => events.get(id) ?? []), next }
  }
}

async function append(transaction: Transaction, calls: readonly Append[]): Promise<readonly (readonly (number | null)[])[]> {
  const said = calls.flatMap(({ now, items }) => items.map(({ jobId, event }): Said => [jobId, event, now]))
  if (said.length === 0) return calls.map(() => [])
  const jobs = await transaction.rows<[number, number, Stage]>(SHARE_JOBS, [...new Set(said.map(([jobId]) => jobId))])
  // While it is locked here a claim passes it by.
  for (const [, queueId, stage] of jobs) if (stage === Stage.ready) transaction.change(queueId).becameReady++
  const known = new Set(jobs.map(([id]) => id))
  const heard = said.filter(([jobId]) => known.has(jobId))
  const portions = [...inPortions(heard.map(rowOf))]
  const written = await Promise.all(portions.map((portion) => transaction.execute(INSERT, portion)))
  const ids = written.flatMap(({ insertId }, index) => portions[index]!.map((_, at) => insertId + at))
  let heardBefore = 0
  return calls.map(({ items }) => items.map(({ jobId }) => (known.has(jobId) ? ids[heardBefore++]! : null)))
}

type Said = readonly [jobId: number, event: NewEvent, now: Instant]

/** Records events of jobs that exist. */
export function sendEvents(transaction: Transaction, events: readonly Said[]): void {
  transaction.insert(INSERT, events.map(rowOf))
}

/** What Octoflow itself did to jobs, on their timelines. */
export function note(transaction: Transaction, jobIds: readonly number[], message: string, now: Instant): void {
  const event: NewEvent = { kind: 'system', level: 'info', message, data: null, at: null }
  sendEvents(
    transaction,
    jobIds.map((id) => [id, event, now]),
  )
}

const rowOf = ([jobId, { at, kind, level, message, data }, now]: Said): Scalar[] => [
  jobId,
  at ?? now,
  kind,
  level,
  message,
  data,
]

export const EVENT_COLUMNS = 'id, job_id, at, kind, level, message, data'

export type EventRecord = readonly [
  id: number,
  jobId: number,
  at: Instant,
  kind: EventKind,
  level: EventLevel,
  message: string,
  data: string | null,
]

export const toEvent = ([id, jobId, at, kind, level, message, data]: EventRecord): JobEvent => ({
  id,
  jobId,
  at,
  kind,
  level,
  message,
  data,
})

const SELECT = `SELECT ${EVENT_COLUMNS} FROM octoflow_events WHERE id IN (?)`

// The rows of one statement are numbered in a row, in the order in which they are given.
const INSERT = 'INSERT INTO octoflow_events (job_id, at, kind, level, message, data) VALUES ?'

// Keeps the jobs from being deleted meanwhile.
const SHARE_JOBS = `SELECT id, queue_id, stage FROM octoflow_requests FORCE INDEX (PRIMARY)
  WHERE id IN (?) AND stage IS NOT NULL ORDER BY id LOCK IN SHARE MODE`
