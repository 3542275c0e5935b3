import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { CapturedRequest } from '../../../model/request.ts'
import type { Page } from '../../contract/page.ts'
import type { RequestStore, Submitted } from '../../contract/requests.ts'
import type { ItemResult } from '../../contract/storage.ts'
import { Coalescer } from '../../sql/coalescer.ts'
import { parseMeta } from '../../sql/meta.ts'
import { Stage } from '../../sql/stages.ts'
import type { SubmitCall } from '../../sql/submits.ts'
import type { Queryable } from './connection.ts'
import type { Database } from './database.ts'
import { listIds } from './listing.ts'
import { submit } from './submits.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof RequestStore> = Parameters<RequestStore[Verb]>[0]

/** Requests that one transaction records. */
const TOGETHER = 500

export class MysqlRequests implements RequestStore {
  readonly #db: Database
  readonly #writer: Writer
  readonly #submits: Coalescer<SubmitCall, readonly Submitted[]>

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
    this.#submits = new Coalescer(
      (calls) => writer.transact((transaction) => submit(transaction, calls)),
      ({ items }) => items.length,
      TOGETHER,
    )
  }

  submit(params: Params<'submit'>): Promise<readonly Submitted[]> {
    return this.#db.underWay(() => this.#submits.do(params))
  }

  find({ ids }: Params<'find'>): Promise<readonly CapturedRequest[]> {
    return findRequests(this.#db, ids)
  }

  list({ filter, page }: Params<'list'>): Promise<Page<CapturedRequest>> {
    const { source, text, ...jobFilter } = filter
    const wanted = text?.toLowerCase()
    const matches = (request: CapturedRequest): boolean => {
      if (source !== undefined && request.source !== source) return false
      if (filter.queues !== undefined && !filter.queues.some((queue) => queue === request.queue)) return false
      return wanted === undefined || request.body.toLowerCase().includes(wanted)
    }
    return this.#db.reading((connection) =>
      listIds(connection, jobFilter, page, {
        load: async (ids) => (await findRequests(connection, ids)).filter(matches),
        sizeOf: ({ body }) => body.length,
      }),
    )
  }

  setHandled({ ids, handled }: Params<'setHandled'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      const rows = await transaction.rows<[number, number | null, Stage | null]>(LOCK_REQUESTS, ids)
      if (rows.length > 0)
        transaction.send(
          SET_HANDLED,
          handled,
          rows.map(([id]) => id),
        )
      const found = new Set<number>()
      for (const [id, queueId, stage] of rows) {
        found.add(id)
        // While it was locked here a claim passed it by.
        if (queueId !== null && stage === Stage.ready) transaction.change(queueId).becameReady++
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

type RequestRecord = readonly [
  id: number,
  receivedAt: Instant,
  meta: string | null,
  body: string,
  queue: string | null,
  handled: number,
]

/** In the order asked for; those that do not exist are left out. */
export async function findRequests(from: Queryable, ids: readonly number[]): Promise<CapturedRequest[]> {
  if (ids.length === 0) return []
  const rows = await from.rows<RequestRecord>(SELECT_REQUESTS, ids)
  const found = new Map(rows.map((record) => [record[0], toRequest(record)]))
  return ids.flatMap((id) => found.get(id) ?? [])
}

const toRequest = ([id, receivedAt, meta, body, queue, handled]: RequestRecord): CapturedRequest => ({
  id,
  receivedAt,
  ...parseMeta(meta),
  body,
  queue,
  handled: handled === 1,
})

const SELECT_REQUESTS = `SELECT r.id, r.received_at, IF(r.body IS NULL, b.meta, r.meta), COALESCE(r.body, b.body),
    q.name, r.handled
  FROM octoflow_requests r
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  LEFT JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.id IN (?)`

const LOCK_REQUESTS = `SELECT id, queue_id, stage FROM octoflow_requests FORCE INDEX (PRIMARY)
  WHERE id IN (?) ORDER BY id FOR UPDATE`

const SET_HANDLED = 'UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET handled = ? WHERE id IN (?)'
