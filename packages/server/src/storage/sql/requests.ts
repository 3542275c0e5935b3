import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Instant } from '../../lib/time.ts'
import type { CapturedRequest } from '../../model/request.ts'
import type { Page } from '../contract/page.ts'
import type { RequestStore, Submitted } from '../contract/requests.ts'
import type { ItemResult } from '../contract/storage.ts'
import { Coalescer } from './coalescer.ts'
import type { Reading } from './database.ts'
import type { JobTransaction } from './job-transaction.ts'
import { type Ids, listIds } from './listing.ts'
import { parseMeta } from './meta.ts'
import type { Writing } from './writer.ts'

type Params<Verb extends keyof RequestStore> = Parameters<RequestStore[Verb]>[0]

/** Requests that one transaction records. */
const TOGETHER = 500

export type RequestRecord = readonly [
  id: number,
  receivedAt: Instant,
  meta: string | null,
  body: string,
  queue: string | null,
  /** Not every database knows truth values; 0 and 1 stand for them there. */
  handled: boolean | number,
]

/** How a driver records and reads requests. */
export interface RequestStatements<From, In> {
  submit(transaction: In, calls: readonly Params<'submit'>[]): Promise<readonly (readonly Submitted[])[]>
  idsOf(from: From): Ids
  /** In any order; those that do not exist are left out. */
  load(from: From, ids: readonly number[]): Promise<readonly RequestRecord[]>
  /** @returns those that there were. */
  setHandled(
    transaction: In,
    ids: readonly number[],
    handled: boolean,
  ): Promise<readonly (readonly [id: number, queueId: number | null, ready: boolean | null])[]>
}

export class SqlRequests<From, In extends JobTransaction> implements RequestStore {
  readonly #db: Reading<From>
  readonly #writer: Writing<In>
  readonly #statements: RequestStatements<From, In>
  readonly #submits: Coalescer<Params<'submit'>, readonly Submitted[]>

  constructor(db: Reading<From>, writer: Writing<In>, statements: RequestStatements<From, In>) {
    this.#db = db
    this.#writer = writer
    this.#statements = statements
    this.#submits = new Coalescer(
      (calls) => writer.transact((transaction) => statements.submit(transaction, calls)),
      ({ items }) => items.length,
      TOGETHER,
    )
  }

  submit(params: Params<'submit'>): Promise<readonly Submitted[]> {
    return this.#db.underWay(() => this.#submits.do(params))
  }

  find({ ids }: Params<'find'>): Promise<readonly CapturedRequest[]> {
    return findRequests(this.#db, this.#statements, ids)
  }

  list({ filter, page }: Params<'list'>): Promise<Page<CapturedRequest>> {
    const { source: _source, text: _text, ...jobFilter } = filter
    const statements = this.#statements
    return this.#db.reading((connection) =>
      listIds(statements.idsOf(connection), jobFilter, page, {
        load: async (ids) =>
          (await findRequests(connection, statements, ids)).filter((request) => matchesRequest(request, filter)),
        sizeOf: ({ body }) => body.length,
      }),
    )
  }

  setHandled({ ids, handled }: Params<'setHandled'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      const found = new Set<number>()
      for (const [id, queueId, ready] of await this.#statements.setHandled(transaction, ids, handled)) {
        found.add(id)
        // While it was locked here a claim passed it by.
        if (queueId !== null && ready === true) transaction.change(queueId).becameReady++
      }
      return ids.map((id) => ({ id, error: found.has(id) ? null : new OctoflowError('request_not_found', { id }) }))
    })
  }

  delete({ now, ids }: Params<'delete'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      const left = new Set(await transaction.jobs.delete(ids))
      const results = ids.map((id) => ({ id, error: left.delete(id) ? null : new OctoflowError('request_not_found', { id }) }))
      await transaction.lanes.balance(now)
      return results
    })
  }
}

/** In the order asked for; those that do not exist are left out. */
export async function findRequests<From>(
  from: From,
  { load }: Pick<RequestStatements<From, never>, 'load'>,
  ids: readonly number[],
): Promise<CapturedRequest[]> {
  if (ids.length === 0) return []
  const found = new Map((await load(from, ids)).map((record) => [record[0], toRequest(record)]))
  return ids.flatMap((id) => found.get(id) ?? [])
}

export const toRequest = ([id, receivedAt, meta, body, queue, handled]: RequestRecord): CapturedRequest => ({
  id,
  receivedAt,
  ...parseMeta(meta),
  body,
  queue,
  handled: Boolean(handled),
})

/** The part of a filter that the source of ids may not have seen to. */
export function matchesRequest(request: CapturedRequest, { source, queues, text }: Params<'list'>['filter']): boolean {
  if (source !== undefined && request.source !== source) return false
  if (queues !== undefined && !queues.some((queue) => queue === request.queue)) return false
  return text === undefined || request.body.toLowerCase().includes(text.toLowerCase())
}
