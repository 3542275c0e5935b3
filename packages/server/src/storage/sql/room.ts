import type { QueueSettings } from '../../model/queue.ts'
import type { NewRequest } from '../contract/requests.ts'
import { Stage } from './stages.ts'

/** A request that is about to be stored, and the stage of its job. */
export interface NewRow {
  readonly item: { readonly request: NewRequest; readonly queueId: number | null }
  stage: Stage | null
}

/** How many jobs of a concurrency key are in each stage that matters to it. */
export interface LaneCounts {
  readonly running: number
  readonly ready: number
  readonly held: number
}

/** A transaction, as far as the room for new jobs is concerned. */
export interface TransactionWithRoom<Lane> {
  readonly lanes: {
    get(queueId: number, key: string): Lane
    /** Reads lanes without locking them; those that are not there are left out. */
    peek(lanes: readonly Lane[]): Promise<ReadonlyMap<Lane, LaneCounts>>
  }
  settings(queueIds: readonly number[]): Promise<ReadonlyMap<number, QueueSettings>>
}

/**
 * Makes jobs ready at once whose concurrency key seems to have room: to hold them first, for the balance to find, would write
 * each row twice. It is a guess, so that lanes are not locked while the rows are written; the balance puts right what has
 * changed since.
 */
export async function useRoom<Lane extends { readonly queueId: number }>(
  transaction: TransactionWithRoom<Lane>,
  rows: readonly NewRow[],
): Promise<void> {
  const byLane = new Map<Lane, NewRow[]>()
  for (const row of rows) {
    const { queueId, request } = row.item
    if (queueId === null || request.job!.concurrencyKey === null) continue
    // That of a job for later, too: all that are named are locked together, in order.
    const lane = transaction.lanes.get(queueId, request.job!.concurrencyKey)
    if (row.stage !== Stage.held) continue
    const others = byLane.get(lane)
    if (others === undefined) byLane.set(lane, [row])
    else others.push(row)
  }
  if (byLane.size === 0) return
  const lanes = [...byLane.keys()]
  const [counts, settings] = await Promise.all([
    transaction.lanes.peek(lanes),
    transaction.settings(lanes.map(({ queueId }) => queueId)),
  ])
  for (const [lane, waiting] of byLane) {
    const room = roomIn(counts.get(lane) ?? IDLE, settings.get(lane.queueId)!)
    const best = waiting.toSorted((a, b) => a.item.request.job!.priority - b.item.request.job!.priority)
    for (const row of best.slice(0, room)) row.stage = Stage.ready
  }
}

export const IDLE: LaneCounts = { running: 0, ready: 0, held: 0 }

/** Those that are held already may go before new ones; what a rate limit leaves is known under lock alone. */
const roomIn = ({ running, ready, held }: LaneCounts, { keyConcurrency, keyRateLimit }: QueueSettings): number =>
  held > 0 || keyRateLimit !== null ? 0 : Math.max(0, keyConcurrency - running - ready)
