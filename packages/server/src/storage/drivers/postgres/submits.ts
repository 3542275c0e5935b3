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
import { array, column, textArray, textColumn } from './values.ts'

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
  const unique = [...firsts.values()]
  const holders = await transaction.rows<[number, string, number]>(
    SELECT_HOLDERS,
    array(unique.map(({ queueId }) => queueId)),
    textArray(unique.map(({ request }) => request.job!.uniqueKey)),
  )
  for (const [queueId, key, id] of holders) firsts.get(`${queueId}:${key}`)!.answer = { id, hasJob: true, outcome: 'existing' }
}

/**
 * A body with its headers up to this many characters stands in the request's own row. That row is rewritten when the job
 * starts and when it ends, which costs more for a larger body than a row of its own does.
 */
const INLINE_UP_TO = 96

export const isInline = (meta: string | null, body: string): boolean => (meta?.length ?? 0) + body.length <= INLINE_UP_TO

/** What goes into the table for one item. */
interface Row {
  readonly item: Item
  stage: Stage | null
  readonly meta: string | null
  readonly body: string
  readonly inline: boolean
}

async function insert(transaction: Transaction, items: readonly Item[]): Promise<void> {
  if (items.length === 0) return
  const rows = items.map(toRow)
  const latest = Math.max(...items.map(({ now }) => now))
  const roomy = await useRoom<Lane>(transaction, rows, latest)
  const first = await insertRows(transaction, rows, latest)
  for (const [index, { item, stage }] of rows.entries()) {
    const { queueId, request, now } = item
    item.answer = { id: first + index, hasJob: queueId !== null, outcome: 'created' }
    if (queueId === null) continue
    transaction.move(queueId, request.job!.concurrencyKey, null, stage)
    transaction.stats(queueId, now).submitted++
  }
  transaction.lanes.leave(roomy)
  insertLabels(
    transaction,
    items.flatMap((item) => {
      const labels = item.queueId === null ? null : item.request.job!.labels
      return labels === null ? [] : [[item.answer!.id, labels] as const]
    }),
  )
}

function toRow(item: Item): Row {
  const { request, now } = item
  const meta = formatMeta(request)
  const inline = isInline(meta, request.body)
  const stage = item.queueId === null ? null : pendingStage(request.job!.runAt ?? now, request.job!.concurrencyKey, now)
  return { item, stage, meta, body: request.body, inline }
}

/** @returns the id of the first row; the others follow it. */
async function insertRows(transaction: Transaction, rows: readonly Row[], latest: Instant): Promise<number> {
  const jobs = rows.map(({ item }) => (item.queueId === null ? null : item.request.job))
  const ordered = jobs.some((job) => job?.uniqueKey != null)
  const apart = rows.some(({ inline }) => !inline)
  const inserted = await transaction.rows<[number]>(
    INSERT[`${ordered}`][`${apart}`],
    rows.length,
    latest,
    textArray(rows.map(({ body }) => body)),
    ...column(notBefore(rows)),
    ...column(rows.map(({ item }) => item.queueId)),
    ...column(rows.map(({ stage }) => stage)),
    ...column(jobs.map((job) => job?.priority ?? null)),
    ...column(jobs.map((job) => job?.runAt ?? null)),
    ...column(jobs.map((job) => job?.maxAttempts ?? null)),
    ...column(jobs.map((job) => job?.timeout ?? null)),
    ...column(rows.map(({ inline, body }) => (inline ? null : body.length))),
    ...textColumn(jobs.map((job) => job?.concurrencyKey ?? null)),
    ...textColumn(jobs.map((job) => job?.uniqueKey ?? null)),
    ...textColumn(
      jobs.map((job) => (job === null ? null : formatOptions({ backoff: job.backoff, timeout: null, labels: job.labels }))),
    ),
    ...textColumn(rows.map(({ meta }) => meta)),
  )
  return inserted[0]![0]
}

/** Times that rise with the ids, though those who submit together may have read the clock in another order. */
function notBefore(rows: readonly Row[]): Instant[] {
  let latest = Number.NEGATIVE_INFINITY
  return rows.map(({ item }) => {
    latest = Math.max(latest, item.now)
    return latest
  })
}

const SELECT_HOLDERS = `SELECT r.queue_id, r.unique_key, r.id
  FROM unnest($1::integer[], $2::text[]) AS u (queue_id, key)
  JOIN octoflow_requests r ON r.queue_id = u.queue_id AND r.unique_key = u.key AND r.unique_key IS NOT NULL AND r.stage <= 3`

/** Beside the bodies; each is two parameters, as `column` makes them. */
const COLUMNS: readonly (readonly [name: string, type: string])[] = [
  ['not_before', 'bigint'],
  ['queue_id', 'integer'],
  ['stage', 'smallint'],
  ['priority', 'smallint'],
  ['run_at', 'bigint'],
  ['max_attempts', 'integer'],
  ['timeout', 'bigint'],
  ['size', 'integer'],
  ['concurrency_key', 'text'],
  ['unique_key', 'text'],
  ['options', 'text'],
  ['meta', 'text'],
]

const BODIES = 3
const arrayOf = (index: number): string => `$${BODIES + 1 + 2 * index}`
const scalarOf = (index: number): string => `$${BODIES + 2 + 2 * index}`

// Rows with a unique key come in its order, so that two transactions that insert the same keys never wait for each other.
// What mostly is not there is left out, for it makes the rows go through a table in memory.
const inserting = ({ ordered, apart }: { readonly ordered: boolean; readonly apart: boolean }): string => `WITH
  given AS MATERIALIZED (SELECT * FROM octoflow_allocate($1, $2)),
  row AS ${apart ? '' : 'NOT'} MATERIALIZED (
    SELECT given.first_id + n - 1 AS id, given.not_before AS floor, body,
        ${COLUMNS.map(([name, type], index) => `coalesce(r.${name}, ${scalarOf(index)}::${type}) AS ${name}`).join(', ')}
      FROM given, unnest($${BODIES}::text[], ${COLUMNS.map(([, type], index) => `${arrayOf(index)}::${type}[]`).join(', ')})
        WITH ORDINALITY AS r (body, ${COLUMNS.map(([name]) => name).join(', ')}, n)),
  ${apart ? 'apart AS (INSERT INTO octoflow_bodies (id, meta, body) SELECT id, meta, body FROM row WHERE size IS NOT NULL),' : ''}
  inserted AS (
    INSERT INTO octoflow_requests (id, received_at, run_at, queue_id, stage, priority, max_attempts, size, timeout,
      concurrency_key, unique_key, options, meta, body)
    SELECT id, greatest(floor, not_before), CASE WHEN stage IS NOT NULL THEN coalesce(run_at, greatest(floor, not_before)) END, queue_id,
      stage, priority, max_attempts, size, timeout, concurrency_key, unique_key, options,
      CASE WHEN size IS NULL THEN meta END, CASE WHEN size IS NULL THEN body END
    FROM row ${ordered ? 'ORDER BY unique_key COLLATE "C", queue_id, id' : ''})
  SELECT first_id FROM given`

const INSERT = {
  false: {
    false: inserting({ ordered: false, apart: false }),
    true: inserting({ ordered: false, apart: true }),
  },
  true: {
    false: inserting({ ordered: true, apart: false }),
    true: inserting({ ordered: true, apart: true }),
  },
} as const
