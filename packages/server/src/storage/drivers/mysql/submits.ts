import type { Instant } from '../../../lib/time.ts'
import type { NewRequest, Submitted } from '../../contract/requests.ts'
import { formatMeta } from '../../sql/meta.ts'
import { formatOptions } from '../../sql/options.ts'
import { useRoom } from '../../sql/room.ts'
import { pendingStage, type Stage } from '../../sql/stages.ts'
import { idempotencyAnswers, rememberAnswers } from './idempotency.ts'
import { insertLabels } from './job-rows.ts'
import type { Lane } from './lanes.ts'
import type { Transaction } from './transaction.ts'
import { uniqueHolders } from './unique-keys.ts'
import type { Scalar } from './values.ts'

export interface SubmitCall {
  readonly now: Instant
  readonly items: readonly NewRequest[]
}

/** One of the items of several calls, and what becomes of it. */
export interface Item {
  readonly request: NewRequest
  readonly now: Instant
  queueId: number | null
  /** How it is answered once those before it in the batch are; `null` for one that is answered by itself. */
  follow: (() => Submitted) | null
  answer: Submitted | null
}

/** Submits for several callers at once, as if one came after the other. */
export async function submit(
  transaction: Transaction,
  calls: readonly SubmitCall[],
): Promise<readonly (readonly Submitted[])[]> {
  const items = calls.flatMap(({ now, items: of }) =>
    of.map((request): Item => ({ request, now, queueId: null, follow: null, answer: null })),
  )
  for (const { request } of items)
    if (request.queue !== null && request.job === null) throw new Error('a request with a queue needs the settings of its job')
  await idempotencyAnswers(transaction, items)
  await findQueueIds(transaction, items.filter(isOpen))
  await findHolders(transaction, items.filter(isOpen))
  await insert(transaction, items.filter(isOpen))
  for (const item of items) item.answer ??= item.follow!()
  rememberAnswers(transaction, items)
  if (items.length > 0) await transaction.lanes.balance(Math.max(...items.map(({ now }) => now)))
  let at = 0
  return calls.map(({ items: of }) => of.map(() => items[at++]!.answer!))
}

const isOpen = ({ answer, follow }: Item): boolean => answer === null && follow === null

async function findQueueIds(transaction: Transaction, items: readonly Item[]): Promise<void> {
  const names = items.flatMap(({ request }) => request.queue ?? [])
  if (names.length === 0) return
  const ids = await transaction.makeQueues(names, items[0]!.now)
  for (const item of items) if (item.request.queue !== null) item.queueId = ids.get(item.request.queue)!
}

/** Answers items whose unique key is taken, by a job that is there or by an item before them. */
async function findHolders(transaction: Transaction, items: readonly Item[]): Promise<void> {
  const firsts = new Map<string, Item>()
  for (const item of items) {
    const uniqueKey = item.request.job?.uniqueKey ?? null
    if (uniqueKey === null || item.queueId === null) continue
    const name = `${item.queueId}:${uniqueKey}`
    const first = firsts.get(name)
    if (first === undefined) firsts.set(name, item)
    else item.follow = () => ({ id: first.answer!.id, hasJob: true, outcome: 'existing' })
  }
  if (firsts.size === 0) return
  const keys = [...firsts.values()].map(({ queueId, request }) => [queueId!, request.job!.uniqueKey!] as const)
  for (const [name, id] of await uniqueHolders(transaction, keys))
    firsts.get(name)!.answer = { id, hasJob: true, outcome: 'existing' }
}

/**
 * A body with its headers up to this many characters stands in the request's own row. That row is rewritten when the job
 * starts and when it ends, which costs more for a larger body than a row of its own does.
 */
const INLINE_UP_TO = 96

export const isInline = (meta: string | null, body: string): boolean => (meta?.length ?? 0) + body.length <= INLINE_UP_TO

async function insert(transaction: Transaction, items: readonly Item[]): Promise<void> {
  if (items.length === 0) return
  const latest = Math.max(...items.map(({ now }) => now))
  const { first, notBefore } = await takeIds(transaction, items.length, latest)
  const staged = items.map((item) => ({ item, stage: stageOf(item) }))
  const roomy = await useRoom<Lane>(transaction, staged, latest)
  const rows: Scalar[][] = []
  const bodies: Scalar[][] = []
  let receivedAt = notBefore
  for (const [index, { item, stage }] of staged.entries()) {
    const { queueId, request, now } = item
    const id = first + index
    receivedAt = Math.max(receivedAt, now)
    item.answer = { id, hasJob: queueId !== null, outcome: 'created' }
    const meta = formatMeta(request)
    const inline = isInline(meta, request.body)
    if (!inline) bodies.push([id, meta, request.body])
    const content = inline ? [null, meta, request.body] : [request.body.length, null, null]
    if (queueId === null) rows.push([id, receivedAt, null, null, null, null, null, null, null, null, null, ...content])
    else {
      const job = request.job!
      const options = formatOptions({ backoff: job.backoff, timeout: null, labels: job.labels })
      const keys = [job.concurrencyKey, job.uniqueKey]
      const { priority, maxAttempts, timeout } = job
      const runAt = job.runAt ?? receivedAt
      rows.push([id, receivedAt, queueId, stage, priority, runAt, maxAttempts, timeout, ...keys, options, ...content])
      transaction.move(queueId, job.concurrencyKey, null, stage)
      transaction.stats(queueId, now).submitted++
    }
  }
  transaction.lanes.leave(roomy)
  transaction.insert(INSERT, rows)
  transaction.insert(INSERT_BODIES, bodies)
  insertLabels(
    transaction,
    items.flatMap((item) => {
      const labels = item.queueId === null ? null : item.request.job!.labels
      return labels === null ? [] : [[item.answer!.id, labels] as const]
    }),
  )
}

const stageOf = ({ queueId, request, now }: Item): Stage | null =>
  queueId === null ? null : pendingStage(request.job!.runAt ?? now, request.job!.concurrencyKey, now)

/** Ids in a row, and the time before which no request with them may have come. */
async function takeIds(
  transaction: Transaction,
  wanted: number,
  latest: Instant,
): Promise<{ readonly first: number; readonly notBefore: Instant }> {
  const [row] = await transaction.rows<[number, Instant]>(LOCK_SEQUENCE)
  const [first, notBefore] = row!
  transaction.send(ADVANCE_SEQUENCE, first + wanted, Math.max(notBefore, latest))
  return { first, notBefore }
}

const LOCK_SEQUENCE = 'SELECT next_id, last_at FROM octoflow_sequence WHERE one = 1 FOR UPDATE'

const ADVANCE_SEQUENCE = 'UPDATE octoflow_sequence SET next_id = ?, last_at = ? WHERE one = 1'

const INSERT = `INSERT INTO octoflow_requests (id, received_at, queue_id, stage, priority, run_at, max_attempts, timeout,
  concurrency_key, unique_key, options, size, meta, body) VALUES ?`

const INSERT_BODIES = 'INSERT INTO octoflow_bodies (id, meta, body) VALUES ?'
