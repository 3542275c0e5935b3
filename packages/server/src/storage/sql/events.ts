import type { Instant } from '../../lib/time.ts'
import type { EventKind, EventLevel, JobEvent } from '../../model/event.ts'
import type { EventStore, NewEvent } from '../contract/events.ts'
import type { Page, PageRequest } from '../contract/page.ts'
import { Coalescer, shareOut } from './coalescer.ts'
import type { Reading } from './database.ts'
import { pageOf } from './paging.ts'
import type { Writing } from './writer.ts'

export type Said = readonly [jobId: number, event: NewEvent, now: Instant]

/** What Octoflow itself did to jobs, for their timelines. */
export function noteOf(jobIds: readonly number[], message: string, now: Instant): readonly Said[] {
  const event: NewEvent = { kind: 'system', level: 'info', message, data: null, at: null }
  return jobIds.map((id) => [id, event, now])
}

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

/** How a driver stores and reads events. */
export interface EventStatements<From, In> {
  /** Events that one transaction stores. */
  readonly together: number
  /** Keeps the jobs from being deleted meanwhile. @returns the event's id for each, or `null` where there is no such job. */
  append(transaction: In, said: readonly Said[]): Promise<readonly (number | null)[]>
  /** Events of a page, one more than it asks for, with their sizes in bytes. */
  sizes(from: From, jobId: number, page: PageRequest): Promise<readonly (readonly [id: number, size: number])[]>
  /** In any order. */
  load(from: From, ids: readonly number[]): Promise<readonly EventRecord[]>
}

type Append = Parameters<EventStore['append']>[0]

export class SqlEvents<From, In> implements EventStore {
  readonly #db: Reading<From>
  readonly #statements: EventStatements<From, In>
  readonly #appends: Coalescer<Append, readonly (number | null)[]>

  constructor(db: Reading<From>, writer: Writing<In>, statements: EventStatements<From, In>) {
    this.#db = db
    this.#statements = statements
    this.#appends = new Coalescer(
      (calls) => writer.transact((transaction) => append(transaction, statements, calls)),
      ({ items }) => items.length,
      statements.together,
    )
  }

  append(params: Append): Promise<readonly (number | null)[]> {
    return this.#db.underWay(() => this.#appends.do(params))
  }

  async list({ jobId, page }: Parameters<EventStore['list']>[0]): Promise<Page<JobEvent>> {
    const rows = await this.#statements.sizes(this.#db, jobId, page)
    const { items, next } = pageOf(
      rows.map(([id, size]) => ({ id, size })),
      page,
      ({ size }) => size,
    )
    const ids = items.map(({ id }) => id)
    const events = new Map((await this.#statements.load(this.#db, ids)).map((record) => [record[0], toEvent(record)]))
    return { items: ids.flatMap((id) => events.get(id) ?? []), next }
  }
}

async function append<In>(
  transaction: In,
  statements: Pick<EventStatements<never, In>, 'append'>,
  calls: readonly Append[],
): Promise<readonly (readonly (number | null)[])[]> {
  const said = calls.flatMap(({ now, items }) => items.map(({ jobId, event }): Said => [jobId, event, now]))
  const ids = said.length === 0 ? [] : await statements.append(transaction, said)
  return shareOut(
    calls.map(({ items }) => items.length),
    ids,
  )
}
