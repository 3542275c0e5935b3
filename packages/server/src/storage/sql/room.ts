import type { Instant } from '../../lib/time.ts'
import type { NewRequest } from '../contract/requests.ts'
import { Stage } from './stages.ts'

/** A request that is about to be stored, and the stage of its job. */
export interface NewRow {
  readonly item: { readonly request: NewRequest; readonly queueId: number | null }
  stage: Stage | null
}

interface LaneOfQueue {
  readonly queueId: number
  readonly held: number
}

/** The lanes of a transaction, as far as new jobs are concerned. */
export interface LanesWithRoom<Lane extends LaneOfQueue> {
  readonly rates: { read(lanes: readonly Lane[], now: Instant): Promise<void> }
  get(queueId: number, key: string): Lane
  lock(): Promise<void>
  roomOf(lane: Lane, now: Instant): number
}

/**
 * Makes jobs whose concurrency key has room ready at once: to hold them first, for the balance to find, would write each row
 * twice. Rows with a unique key may have to wait for another transaction, and nobody waits for rows who holds lanes.
 * @returns the lanes that need no balance, since all their new jobs are ready.
 */
export async function useRoom<Lane extends LaneOfQueue>(
  transaction: { readonly lanes: LanesWithRoom<Lane>; settings(queueIds: readonly number[]): Promise<unknown> },
  rows: readonly NewRow[],
  now: Instant,
): Promise<readonly Lane[]> {
  if (rows.some(({ item }) => item.request.job?.uniqueKey != null)) return []
  const { lanes } = transaction
  const byLane = new Map<Lane, NewRow[]>()
  for (const row of rows) {
    if (row.stage !== Stage.held) continue
    const lane = lanes.get(row.item.queueId!, row.item.request.job!.concurrencyKey!)
    const others = byLane.get(lane)
    if (others === undefined) byLane.set(lane, [row])
    else others.push(row)
  }
  if (byLane.size === 0) return []
  await Promise.all([lanes.lock(), transaction.settings([...byLane.keys()].map(({ queueId }) => queueId))])
  await lanes.rates.read([...byLane.keys()], now)
  const roomy: Lane[] = []
  for (const [lane, waiting] of byLane) {
    // Those that are held already may go before these.
    if (lane.held > 0) continue
    const best = waiting.toSorted((a, b) => a.item.request.job!.priority - b.item.request.job!.priority)
    const room = Math.max(0, lanes.roomOf(lane, now))
    for (const row of best.slice(0, room)) row.stage = Stage.ready
    if (room >= waiting.length) roomy.push(lane)
  }
  return roomy
}
