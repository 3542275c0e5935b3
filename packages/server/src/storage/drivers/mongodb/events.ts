import type { Instant } from '../../../lib/time.ts'
import type { JobEvent } from '../../../model/event.ts'
import type { EventStore, NewEvent } from '../../contract/events.ts'
import type { Page, PageRequest } from '../../contract/page.ts'
import type { Connection } from './connection.ts'
import type { EventDocument } from './documents.ts'
import { findJob } from './job-documents.ts'
import { pageOf, pageQuery } from './paging.ts'
import { loadTexts, PART_LENGTH, readWhole } from './texts.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

export class MongoEvents implements EventStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  append({ now, items }: Parameters<EventStore['append']>[0]): Promise<readonly (number | null)[]> {
    return this.#writer.write(async (transaction) => {
      await transaction.tables.requests.load(items.map(({ jobId }) => jobId))
      const ids: (number | null)[] = []
      for (const { jobId, event } of items)
        ids.push((await findJob(transaction, jobId)) === null ? null : insertEvent(transaction, jobId, event, now))
      return ids
    })
  }

  list({ jobId, page }: Parameters<EventStore['list']>[0]): Promise<Page<JobEvent>> {
    return readWhole(() => this.#read(jobId, page))
  }

  async #read(jobId: number, page: PageRequest): Promise<Page<JobEvent>> {
    // What a server that was stopped half-way through a commit adds late to a job that is gone is no job's.
    if ((await this.#connection.findByIds('requests', [jobId], { _id: 1, deletedAt: 1 })).length === 0)
      return { items: [], next: null }
    const found = await this.#connection.find('events', pageQuery(page, { jobId }))
    const { items, next } = pageOf(found, page, ({ message, data }) => message.length + (data?.length ?? 0))
    return { items: await toEvents(this.#connection, items), next }
  }
}

export async function toEvents(connection: Connection, documents: readonly EventDocument[]): Promise<JobEvent[]> {
  const texts = await loadTexts(
    connection,
    documents.flatMap(({ message, data }) => [message, data ?? '']),
  )
  return documents.map((event, index) => toEvent(event, texts[2 * index]!, texts[2 * index + 1]!))
}

const toEvent = ({ _id, jobId, at, kind, level, data }: EventDocument, message: string, text: string): JobEvent => ({
  id: _id,
  jobId,
  at,
  kind,
  level,
  message,
  data: data === undefined ? null : text,
})

/** @returns the event's id. */
export function insertEvent(transaction: Transaction, jobId: number, event: NewEvent, now: Instant): number {
  const id = transaction.sequences.event++
  transaction.tables.events.insert(ofEvent(transaction, { ...event, id, jobId, at: event.at ?? now }))
  return id
}

export function ofEvent(transaction: Transaction, { id, jobId, at, kind, level, message, data }: JobEvent): EventDocument {
  return {
    _id: id,
    jobId,
    at,
    kind,
    level,
    message: transaction.text(message, PART_LENGTH),
    ...(data !== null && { data: transaction.text(data, PART_LENGTH) }),
  }
}

/** What Octoflow itself did to a job, on the job's timeline. */
export function note(transaction: Transaction, jobId: number, message: string, now: Instant): void {
  insertEvent(transaction, jobId, { kind: 'system', level: 'info', message, data: null, at: null }, now)
}
