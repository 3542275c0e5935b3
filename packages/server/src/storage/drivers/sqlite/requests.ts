import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { CapturedRequest } from '../../../model/request.ts'
import type { Page } from '../../contract/page.ts'
import type { Idempotency, NewRequest, RequestStore, Submitted } from '../../contract/requests.ts'
import type { ItemResult } from '../../contract/storage.ts'
import { formatMeta, type Meta } from '../../sql/meta.ts'
import { formatOptions } from '../../sql/options.ts'
import { matchesRequest, type RequestRecord, toRequest } from '../../sql/requests.ts'
import { pendingStage } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { deleteRequest, findUnique, insertLabels } from './job-rows.ts'
import { listIds } from './listing.ts'
import type { QueueRow, Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof RequestStore> = Parameters<RequestStore[Verb]>[0]

export class SqliteRequests implements RequestStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  submit({ now, items }: Params<'submit'>): Promise<readonly Submitted[]> {
    return this.#writer.write((transaction) => {
      const submitted = items.map((item) => submit(transaction, item, now))
      transaction.lanes.balance(now)
      return submitted
    })
  }

  async find({ ids }: Params<'find'>): Promise<readonly CapturedRequest[]> {
    return ids.map((id) => findRequest(this.#db, id)).filter((request) => request !== null)
  }

  async list({ filter, page }: Params<'list'>): Promise<Page<CapturedRequest>> {
    const { source: _source, text: _text, ...jobFilter } = filter
    const load = (id: number): CapturedRequest | null => {
      const request = findRequest(this.#db, id)
      return request !== null && matchesRequest(request, filter) ? request : null
    }
    return listIds(this.#db, jobFilter, page, load, ({ body }) => body.length)
  }

  setHandled({ ids, handled }: Params<'setHandled'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(({ db }) =>
      ids.map((id) => {
        const found = db.run('UPDATE octoflow_requests SET handled = ? WHERE id = ?', handled ? 1 : 0, id) > 0
        return { id, error: found ? null : new OctoflowError('request_not_found', { id }) }
      }),
    )
  }

  delete({ now, ids }: Params<'delete'>): Promise<readonly ItemResult[]> {
    return this.#writer.write((transaction) => {
      const results = ids.map((id) => ({
        id,
        error: deleteRequest(transaction, id) ? null : new OctoflowError('request_not_found', { id }),
      }))
      transaction.lanes.balance(now)
      return results
    })
  }
}

function submit(transaction: Transaction, item: NewRequest, now: Instant): Submitted {
  const { db } = transaction
  if (item.idempotency !== null) {
    const earlier = findEarlier(db, item.idempotency, now)
    if (earlier !== null) return earlier
  }
  const queue = item.queue === null ? null : transaction.queue(item.queue, now)
  if (queue !== null && item.job !== null && item.job.uniqueKey !== null) {
    const holder = findUnique(db, queue, item.job.uniqueKey)
    if (holder !== null) {
      remember(db, item.idempotency, holder, true)
      return { id: holder, hasJob: true, outcome: 'existing' }
    }
  }

  const { id, at } = transaction.nextRequest(now)
  const content = storeContent(db, id, item)
  if (queue === null) db.run(INSERT_WITHOUT_JOB, id, at, content.meta, content.body)
  else insertJob(transaction, queue, { id, at, ...content }, item, now)
  remember(db, item.idempotency, id, queue !== null)
  return { id, hasJob: queue !== null, outcome: 'created' }
}

/** Keeps the answer for whoever repeats the submit. */
function remember(db: Database, idempotency: Idempotency | null, id: number, hasJob: boolean): void {
  if (idempotency === null) return
  const { key, fingerprint, expiresAt } = idempotency
  db.run(INSERT_IDEMPOTENCY, key, fingerprint, id, hasJob ? 1 : 0, expiresAt)
}

/**
 * A body with its headers up to this many characters stands in the request's own row. That row is rewritten when the job
 * starts and when it ends, which costs more for a larger body than a row of its own does (measured: even at about 100).
 */
const INLINE_UP_TO = 96

export interface Content {
  readonly meta: string | null
  readonly body: string | null
}

const STORED_APART: Content = { meta: null, body: null }

/** @returns what goes into the request's own row. */
export function storeContent(db: Database, id: number, item: (Meta | NewRequest) & { readonly body: string }): Content {
  const { body } = item
  const meta = formatMeta(item)
  if ((meta?.length ?? 0) + body.length <= INLINE_UP_TO) return { meta, body }
  db.insert('octoflow_bodies', BODY_COLUMNS, id, meta, body)
  return STORED_APART
}

interface Row extends Content {
  readonly id: number
  readonly at: Instant
}

function insertJob(
  transaction: Transaction,
  queue: QueueRow,
  { id, at, meta, body }: Row,
  item: NewRequest,
  now: Instant,
): void {
  const job = item.job
  if (job === null) throw new Error('a request with a queue needs the settings of its job')
  const { priority, concurrencyKey, uniqueKey, maxAttempts, labels } = job
  const stage = pendingStage(job.runAt ?? now, concurrencyKey, now)
  const options = formatOptions(job)
  const { db } = transaction
  const row = [id, queue.id, stage, priority, job.runAt ?? at, at, concurrencyKey, uniqueKey, maxAttempts, options, meta, body]
  db.insert('octoflow_requests', COLUMNS, ...row)
  if (labels !== null) insertLabels(db, id, labels)
  transaction.move(queue, concurrencyKey, null, stage)
  transaction.stats(queue, now).submitted++
}

/** The answer to give to a repeated submit; `null` if the key is new. */
function findEarlier(db: Database, { key, fingerprint }: Idempotency, now: Instant): Submitted | null {
  const earlier = db.row<[string | null, number | null, number | null]>(SELECT_IDEMPOTENCY, key, now)
  if (earlier === undefined) return null
  const [first, id, hasJob] = earlier
  if (id === null || (fingerprint !== null && first !== fingerprint)) return { id: 0, hasJob: false, outcome: 'mismatch' }
  return { id, hasJob: hasJob === 1, outcome: 'repeated' }
}

export function findRequest(db: Database, id: number): CapturedRequest | null {
  const record = db.row<RequestRecord>(SELECT_REQUEST, id)
  return record === undefined ? null : toRequest(record)
}

const BODY_COLUMNS = ['id', 'meta', 'body']

const COLUMNS = [
  'id',
  'queue_id',
  'stage',
  'priority',
  'run_at',
  'received_at',
  'concurrency_key',
  'unique_key',
  'max_attempts',
  'options',
  'meta',
  'body',
]

const INSERT_WITHOUT_JOB = 'INSERT INTO octoflow_requests (id, received_at, meta, body) VALUES (?, ?, ?, ?)'

const SELECT_IDEMPOTENCY = 'SELECT fingerprint, request_id, has_job FROM octoflow_idempotency WHERE key = ? AND expires_at > ?'

const INSERT_IDEMPOTENCY = `INSERT OR REPLACE INTO octoflow_idempotency (key, fingerprint, request_id, has_job, expires_at)
  VALUES (?, ?, ?, ?, ?)`

const SELECT_REQUEST = `SELECT r.id, r.received_at, iif(r.body IS NULL, b.meta, r.meta), coalesce(r.body, b.body), q.name, r.handled
  FROM octoflow_requests r
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  LEFT JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.id = ?`
