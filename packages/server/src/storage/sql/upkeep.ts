import { DAY, type Duration, type Instant, MINUTE } from '../../lib/time.ts'
import { HOURS_KEPT, MINUTES_KEPT } from '../contract/stats.ts'
import type { UpkeepStore } from '../contract/upkeep.ts'
import type { Writing } from './writer.ts'

/** How long sightings of workers are kept. */
const WORKERS_KEPT = 30 * DAY

/** Roll-ups of what is past for so many minutes are folded into one row: clocks differ, and transactions take a while. */
const FOLD_AFTER = 3

/** A sweep through more queues than these would take long. */
const QUEUES_AT_ONCE = 100

/** Stands for a queue's id in the sweep through requests that made no job. */
const WITHOUT_JOB = 0

/** Where a sweep stopped. */
export type SweepPosition = readonly [queueId: number, position: number]

/** A request, and since when its retention counts. */
export type SweptRecord = readonly [id: number, at: Instant]

interface PruningTransaction {
  readonly jobs: { delete(ids: readonly number[]): Promise<ReadonlySet<number>> }
  readonly lanes: { balance(now: Instant): Promise<void> }
}

export interface PruningVerbs<In> {
  /** @returns `null` where the last sweep came to its end. */
  readPosition(transaction: In): Promise<SweepPosition | null>
  storePosition(transaction: In, position: SweepPosition | null): void
  /** Queues from `first` on in which something may have outlived its retention, in order of id. */
  retentions(
    transaction: In,
    first: number,
    retention: Duration | null,
    limit: number,
  ): Promise<readonly (readonly [queueId: number, kept: Duration])[]>
  /** The first id that a request received from an instant on may have. */
  firstIdAt(transaction: In, at: Instant): Promise<number>
  finishedJobs(transaction: In, queueId: number, after: number, before: number, limit: number): Promise<readonly SweptRecord[]>
  requestsWithoutJob(transaction: In, after: number, before: number, limit: number): Promise<readonly SweptRecord[]>
  /** The longest period of any rate limit; 0 where there is none. */
  longestPeriod(transaction: In): Promise<Duration>
  /** What stands for the value in a condition. */
  readonly placeholder: string
  /** @returns how many rows were deleted. */
  deleteOutlived(transaction: In, outlived: Outlived, limit: number): Promise<number>
}

/** Rows of a table that need not be kept. */
export interface Outlived {
  readonly table: string
  readonly condition: string
  /** Of the placeholder in the condition, if there is one. */
  readonly values: readonly number[]
}

export interface Pruned {
  readonly deleted: number
  readonly more: boolean
}

/** Prunes in two transactions: whoever locks lanes to balance them has deleted no others before. */
export async function prune<In extends PruningTransaction>(
  writer: Pick<Writing<In>, 'transact'>,
  { now, retention, limit }: Parameters<UpkeepStore['prune']>[0],
  verbs: PruningVerbs<In>,
): Promise<Pruned> {
  const swept = await writer.transact(async (transaction) => {
    const pruned = await sweep(transaction, retention, now, limit, verbs)
    await transaction.lanes.balance(now)
    return pruned
  })
  const most = await writer.transact(async (transaction) => {
    const deleted: number[] = []
    for (const outlived of outlivedAt(now, await verbs.longestPeriod(transaction), verbs.placeholder))
      deleted.push(await verbs.deleteOutlived(transaction, outlived, limit))
    return Math.max(...deleted)
  })
  return { deleted: swept.deleted, more: swept.more || most === limit }
}

/** The minute before which roll-ups are folded. */
export const foldBefore = (now: Instant): number => Math.floor(now / MINUTE) - FOLD_AFTER

/**
 * Goes on from where the last sweep stopped: through the queues in order of id, and in each through its finished jobs in
 * order of id. A round is over when it has come to the end of the last queue.
 *
 * Only what came before `before` can have outlived it, so the way through a queue ends there and does not lead through the
 * many that are kept; what it does step over is old work that finished lately.
 */
async function sweep<In extends PruningTransaction>(
  transaction: In,
  retention: Duration | null,
  now: Instant,
  limit: number,
  verbs: PruningVerbs<In>,
): Promise<Pruned> {
  const [stoppedIn, stoppedAt] = (await verbs.readPosition(transaction)) ?? [WITHOUT_JOB, 0]
  const stopAt = (queueId: number, position: number): Pruned => {
    verbs.storePosition(transaction, [queueId, position])
    return { deleted, more: true }
  }
  const firstIds = new Map<Instant, number>()
  let deleted = 0
  let left = limit
  for (const [visited, [queueId, kept]] of (await retentionsFrom(transaction, stoppedIn, retention, verbs)).entries()) {
    const position = queueId === stoppedIn ? stoppedAt : 0
    if (visited === QUEUES_AT_ONCE) return stopAt(queueId, position)
    const before = now - kept
    const upto = firstIds.get(before) ?? (await verbs.firstIdAt(transaction, before))
    firstIds.set(before, upto)
    const candidates = await (queueId === WITHOUT_JOB
      ? verbs.requestsWithoutJob(transaction, position, upto, left)
      : verbs.finishedJobs(transaction, queueId, position, upto, left))
    const outlived = candidates.filter(([, at]) => at < before).map(([id]) => id)
    if (outlived.length > 0) deleted += (await transaction.jobs.delete(outlived)).size
    left -= candidates.length
    if (left === 0) return stopAt(queueId, candidates.at(-1)?.[0] ?? position)
  }
  verbs.storePosition(transaction, null)
  return { deleted, more: false }
}

/** The queues from `first` on in which something may have outlived its retention, one more than are visited at once. */
async function retentionsFrom<In>(
  transaction: In,
  first: number,
  retention: Duration | null,
  verbs: PruningVerbs<In>,
): Promise<readonly (readonly [queueId: number, kept: Duration])[]> {
  const queues = await verbs.retentions(transaction, first, retention, QUEUES_AT_ONCE + 1)
  return first === WITHOUT_JOB && retention !== null ? [[WITHOUT_JOB, retention], ...queues] : queues
}

/** What beside requests need not be kept. */
const outlivedAt = (now: Instant, longestPeriod: Duration, placeholder: string): readonly Outlived[] => [
  { table: 'idempotency', condition: `expires_at <= ${placeholder}`, values: [now] },
  { table: 'workers', condition: `last_seen_at < ${placeholder}`, values: [now - WORKERS_KEPT] },
  { table: 'stats', condition: `span = 1 AND start < ${placeholder}`, values: [Math.floor((now - MINUTES_KEPT) / MINUTE)] },
  { table: 'stats', condition: `span = 60 AND start < ${placeholder}`, values: [Math.floor((now - HOURS_KEPT) / MINUTE)] },
  { table: 'rate_usage', condition: `slice < ${placeholder}`, values: [now - 2 * longestPeriod] },
  { table: 'lanes', condition: 'running = 0 AND ready = 0 AND held = 0 AND wake_at IS NULL', values: [] },
]
