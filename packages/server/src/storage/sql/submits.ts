import type { Instant } from '../../lib/time.ts'
import type { Labels } from '../../model/job.ts'
import type { NewRequest, Submitted } from '../contract/requests.ts'
import { answerRepeated, answersToKeep, type KeptAnswer, type KnownRequest, type Mark } from './idempotency.ts'
import { formatMeta } from './meta.ts'
import type { StatsRow } from './queue-change.ts'
import { type TransactionWithRoom, useRoom } from './room.ts'
import { pendingStage, type Stage } from './stages.ts'

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

/** What goes into the table for one item. */
export interface SubmittedRow {
  readonly item: Item
  stage: Stage | null
  readonly meta: string | null
  readonly body: string
  readonly inline: boolean
}

/** A transaction, as far as it is submitted to. */
interface SubmittingTransaction<Lane> extends TransactionWithRoom<Lane> {
  readonly lanes: TransactionWithRoom<Lane>['lanes'] & { balance(now: Instant): Promise<void> }
  makeQueues(names: readonly string[], now: Instant): Promise<ReadonlyMap<string, number>>
  move(queueId: number, key: string | null, from: Stage | null, to: Stage | null): void
  stats(queueId: number, now: Instant): StatsRow
}

export interface SubmitVerbs<In> {
  /** @returns what is known of keys that are not free. Who comes with a free one waits for the transaction, now or at `keepAnswers`. */
  lockKeys(transaction: In, marks: readonly Mark[]): Promise<ReadonlyMap<string, KnownRequest>>
  keepAnswers(transaction: In, answers: readonly KeptAnswer[]): void
  /** @returns which pending or running jobs hold unique keys, by queue and key as `7:key`. */
  uniqueHolders(
    transaction: In,
    keys: readonly (readonly [queueId: number, key: string])[],
  ): Promise<ReadonlyMap<string, number>>
  /** @returns the id of the first row, which the others follow. */
  insert(transaction: In, rows: readonly SubmittedRow[], latest: Instant): Promise<number>
  insertLabels(transaction: In, labels: readonly (readonly [id: number, labels: Labels])[]): void
}

/** Submits for several callers at once, as if one came after the other. */
export async function submitAll<Lane extends { readonly queueId: number }, In extends SubmittingTransaction<Lane>>(
  transaction: In,
  calls: readonly SubmitCall[],
  verbs: SubmitVerbs<In>,
): Promise<readonly (readonly Submitted[])[]> {
  const items = calls.flatMap(({ now, items: of }) =>
    of.map((request): Item => ({ request, now, queueId: null, follow: null, answer: null })),
  )
  for (const { request } of items)
    if (request.queue !== null && request.job === null) throw new Error('a request with a queue needs the settings of its job')
  await answerRepeated(items, (marks) => verbs.lockKeys(transaction, marks))
  await findQueueIds(transaction, items.filter(isOpen))
  await findHolders(items.filter(isOpen), (keys) => verbs.uniqueHolders(transaction, keys))
  await insert(transaction, items.filter(isOpen), verbs)
  for (const item of items) item.answer ??= item.follow!()
  const kept = answersToKeep(items)
  if (kept.length > 0) verbs.keepAnswers(transaction, kept)
  if (items.length > 0) await transaction.lanes.balance(Math.max(...items.map(({ now }) => now)))
  let at = 0
  return calls.map(({ items: of }) => of.map(() => items[at++]!.answer!))
}

const isOpen = ({ answer, follow }: Item): boolean => answer === null && follow === null

async function findQueueIds<Lane>(transaction: SubmittingTransaction<Lane>, items: readonly Item[]): Promise<void> {
  const names = items.flatMap(({ request }) => request.queue ?? [])
  if (names.length === 0) return
  const ids = await transaction.makeQueues(names, items[0]!.now)
  for (const item of items) if (item.request.queue !== null) item.queueId = ids.get(item.request.queue)!
}

/** Answers items whose unique key is taken, by a job that is there or by an item before them. */
async function findHolders(
  items: readonly Item[],
  holdersOf: (keys: readonly (readonly [queueId: number, key: string])[]) => Promise<ReadonlyMap<string, number>>,
): Promise<void> {
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
  const holders = await holdersOf([...firsts.values()].map(({ queueId, request }) => [queueId!, request.job!.uniqueKey!]))
  for (const [name, id] of holders) firsts.get(name)!.answer = { id, hasJob: true, outcome: 'existing' }
}

async function insert<Lane extends { readonly queueId: number }, In extends SubmittingTransaction<Lane>>(
  transaction: In,
  items: readonly Item[],
  verbs: SubmitVerbs<In>,
): Promise<void> {
  if (items.length === 0) return
  const rows = items.map(toRow)
  await useRoom(transaction, rows)
  const first = await verbs.insert(transaction, rows, Math.max(...items.map(({ now }) => now)))
  const labelled: (readonly [id: number, labels: Labels])[] = []
  for (const [index, { item, stage }] of rows.entries()) {
    const { queueId, request, now } = item
    const id = first + index
    item.answer = { id, hasJob: queueId !== null, outcome: 'created' }
    if (queueId === null) continue
    const { concurrencyKey, labels } = request.job!
    transaction.move(queueId, concurrencyKey, null, stage)
    transaction.stats(queueId, now).submitted++
    if (labels !== null) labelled.push([id, labels])
  }
  verbs.insertLabels(transaction, labelled)
}

function toRow(item: Item): SubmittedRow {
  const { request, now } = item
  const meta = formatMeta(request)
  const inline = isInline(meta, request.body)
  const stage = item.queueId === null ? null : pendingStage(request.job!.runAt ?? now, request.job!.concurrencyKey, now)
  return { item, stage, meta, body: request.body, inline }
}

/**
 * A body with its headers up to this many characters stands in the request's own row. That row is rewritten when the job
 * starts and when it ends, which costs more for a larger body than a row of its own does.
 */
const INLINE_UP_TO = 96

export const isInline = (meta: string | null, body: string): boolean => (meta?.length ?? 0) + body.length <= INLINE_UP_TO
