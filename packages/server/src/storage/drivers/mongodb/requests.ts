import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { CapturedRequest } from '../../../model/request.ts'
import type { Page } from '../../contract/page.ts'
import type { Idempotency, NewJob, NewRequest, RequestStore, Submitted } from '../../contract/requests.ts'
import type { ItemResult } from '../../contract/storage.ts'
import { pendingStage } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import { laneId, type RequestDocument } from './documents.ts'
import { deleteRequest, findHolders, labelFields, metaFields, metaOf } from './job-documents.ts'
import { listRequestDocuments } from './listing.ts'
import type { QueueState } from './queue-state.ts'
import { loadTexts, readWhole } from './texts.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof RequestStore> = Parameters<RequestStore[Verb]>[0]

export class MongoRequests implements RequestStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  submit({ now, items }: Params<'submit'>): Promise<readonly Submitted[]> {
    return this.#writer.write(async (transaction) => {
      const submission = await Submission.prepare(transaction, items, now)
      const submitted: Submitted[] = []
      for (const item of items) submitted.push(await submission.submit(item))
      await transaction.lanes.balance(now)
      return submitted
    })
  }

  async find({ ids }: Params<'find'>): Promise<readonly CapturedRequest[]> {
    return readWhole(async () => {
      const found = new Map((await this.#connection.findByIds('requests', ids)).map((request) => [request._id, request]))
      return toRequests(
        this.#connection,
        ids.flatMap((id) => found.get(id) ?? []),
      )
    })
  }

  async list({ filter, page }: Params<'list'>): Promise<Page<CapturedRequest>> {
    const { source, text, ...jobFilter } = filter
    const wanted = text?.toLowerCase()
    const matches = async (request: RequestDocument): Promise<boolean> => {
      if (source !== undefined && metaOf(request).source !== source) return false
      if (wanted === undefined) return true
      return (await loadTexts(this.#connection, [request.body]))[0]!.toLowerCase().includes(wanted)
    }
    return readWhole(async () => {
      const { items, next } = await listRequestDocuments(this.#connection, jobFilter, page, {
        rare: text !== undefined,
        matches: source === undefined && text === undefined ? null : matches,
        sizeOf: ({ body }) => body.length,
        projection: { payload: 0, result: 0 },
      })
      return { items: await toRequests(this.#connection, items), next }
    })
  }

  setHandled({ ids, handled }: Params<'setHandled'>): Promise<readonly ItemResult[]> {
    return this.#each(ids, async ({ tables }, id) => {
      if ((await tables.requests.get(id)) === null) return false
      tables.requests.update(id, { handled: handled ? true : null })
      return true
    })
  }

  delete({ now, ids }: Params<'delete'>): Promise<readonly ItemResult[]> {
    return this.#each(ids, (transaction, id) => deleteRequest(transaction, id, now), now)
  }

  /** @param act tells whether there is such a request. */
  #each(
    ids: readonly number[],
    act: (transaction: Transaction, id: number) => Promise<boolean>,
    now: Instant = 0,
  ): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      await transaction.tables.requests.load(ids)
      const results: ItemResult[] = []
      for (const id of ids)
        results.push({ id, error: (await act(transaction, id)) ? null : new OctoflowError('request_not_found', { id }) })
      await transaction.lanes.balance(now)
      return results
    })
  }
}

/** The items of one submit, with what is known of the keys that they name: looked up once for all. */
class Submission {
  readonly #transaction: Transaction
  readonly #now: Instant
  /** Who holds unique keys, by queue. */
  readonly #holders: ReadonlyMap<string, Map<string, number>>

  private constructor(transaction: Transaction, now: Instant, holders: ReadonlyMap<string, Map<string, number>>) {
    this.#transaction = transaction
    this.#now = now
    this.#holders = holders
  }

  static async prepare(transaction: Transaction, items: readonly NewRequest[], now: Instant): Promise<Submission> {
    await transaction.tables.queues.load(items.flatMap(({ queue }) => queue ?? []))
    await transaction.tables.idempotency.load(
      items.flatMap(({ idempotency }) => (idempotency === null ? [] : [idempotency.key])),
    )
    await transaction.tables.lanes.load(
      items.flatMap(({ queue, job }) =>
        queue === null || (job?.concurrencyKey ?? null) === null ? [] : [laneId(queue, job!.concurrencyKey!)],
      ),
    )
    const holders = new Map<string, Map<string, number>>()
    const keyed = items.filter(({ queue, job }) => queue !== null && (job?.uniqueKey ?? null) !== null)
    for (const [queue, own] of Map.groupBy(keyed, (item) => item.queue!))
      holders.set(
        queue,
        await findHolders(
          transaction,
          queue,
          own.map(({ job }) => job!.uniqueKey!),
        ),
      )
    return new Submission(transaction, now, holders)
  }

  async submit(item: NewRequest): Promise<Submitted> {
    const transaction = this.#transaction
    if (item.idempotency !== null) {
      const earlier = await findEarlier(transaction, item.idempotency, this.#now)
      if (earlier !== null) return earlier
    }
    const queue = item.queue === null ? null : await transaction.queue(item.queue, this.#now)
    const uniqueKey = item.job?.uniqueKey ?? null
    const holders = item.queue === null || uniqueKey === null ? null : this.#holders.get(item.queue)!
    const holder = holders?.get(uniqueKey!)
    if (holder !== undefined) {
      remember(transaction, item.idempotency, holder, true)
      return { id: holder, hasJob: true, outcome: 'existing' }
    }
    const { id, at } = transaction.nextRequest(this.#now)
    await this.#insert(id, at, item, queue)
    holders?.set(uniqueKey!, id)
    remember(transaction, item.idempotency, id, queue !== null)
    return { id, hasJob: queue !== null, outcome: 'created' }
  }

  async #insert(id: number, at: Instant, item: NewRequest, queue: QueueState | null): Promise<void> {
    const request: RequestDocument = { _id: id, receivedAt: at, ...metaFields(item), body: this.#transaction.text(item.body) }
    if (queue === null) {
      this.#transaction.tables.requests.insert(request)
      return
    }
    if (item.job === null) throw new Error('a request with a queue needs the settings of its job')
    const job = { ...request, queue: queue.name, ...this.#jobFields(item.job, at) }
    this.#transaction.tables.requests.insert(job)
    await this.#transaction.move(queue, job, null, job.stage)
    this.#transaction.stats(queue, this.#now).submitted++
  }

  #jobFields(job: NewJob, at: Instant) {
    const { priority, runAt, maxAttempts, backoff, uniqueKey, concurrencyKey, timeout, labels } = job
    return {
      stage: pendingStage(runAt ?? this.#now, concurrencyKey, this.#now),
      priority,
      runAt: runAt ?? at,
      attempt: 0,
      fence: 0,
      ...(maxAttempts !== null && { maxAttempts }),
      ...(backoff !== null && { backoff }),
      ...(uniqueKey !== null && { uniqueKey, holds: uniqueKey }),
      ...(concurrencyKey !== null && { concurrencyKey }),
      ...(timeout !== null && { timeout }),
      ...labelFields(labels),
    } satisfies Partial<RequestDocument>
  }
}

/** Keeps the answer for whoever repeats the submit. */
function remember({ tables }: Transaction, idempotency: Idempotency | null, id: number, hasJob: boolean): void {
  if (idempotency === null) return
  const { key, fingerprint, expiresAt } = idempotency
  tables.idempotency.put({ _id: key, ...(fingerprint !== null && { fingerprint }), request: { id, hasJob }, expiresAt })
}

/** The answer to give to a repeated submit; `null` if the key is new. */
async function findEarlier(
  { tables }: Transaction,
  { key, fingerprint }: Idempotency,
  now: Instant,
): Promise<Submitted | null> {
  const earlier = await tables.idempotency.get(key)
  if (earlier === null || earlier.expiresAt <= now) return null
  const { request } = earlier
  if (request === undefined || (fingerprint !== null && earlier.fingerprint !== fingerprint))
    return { id: 0, hasJob: false, outcome: 'mismatch' }
  return { ...request, outcome: 'repeated' }
}

async function toRequests(connection: Connection, documents: readonly RequestDocument[]): Promise<CapturedRequest[]> {
  const bodies = await loadTexts(
    connection,
    documents.map(({ body }) => body),
  )
  return documents.map((document, index) => ({
    id: document._id,
    receivedAt: document.receivedAt,
    ...metaOf(document),
    body: bodies[index]!,
    queue: document.queue ?? null,
    handled: document.handled ?? false,
  }))
}
