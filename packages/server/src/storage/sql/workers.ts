import type { Instant } from '../../lib/time.ts'
import type { WorkerInfo } from '../../model/worker.ts'
import type { Sighting } from '../contract/workers.ts'

export type WorkerRecord = readonly [
  id: string,
  queues: string,
  firstSeenAt: Instant,
  lastSeenAt: Instant,
  /** Not every database knows truth values; 0 and 1 stand for them there. */
  draining: boolean | number,
  agent: string | null,
]

export const toWorker = ([id, queues, firstSeenAt, lastSeenAt, draining, agent]: WorkerRecord): WorkerInfo => ({
  id,
  queues: JSON.parse(queues),
  firstSeenAt,
  lastSeenAt,
  draining: Boolean(draining),
  agent,
})

export const WORKER_COLUMNS = 'id, queues, first_seen_at, last_seen_at, draining, agent'

/** What is written of a worker that was seen. */
export interface SeenWorker {
  readonly id: string
  /** JSON. */
  readonly queues: string
  readonly at: Instant
  readonly agent: string | null
}

/**
 * Sightings with one entry for each worker and all queues that it ever served.
 * @param lock gives the queues of workers that are known, which nobody else changes until the transaction ends.
 */
export async function seenWorkers(
  sightings: readonly Sighting[],
  lock: (ids: readonly string[]) => Promise<readonly (readonly [id: string, queues: string])[]>,
): Promise<readonly SeenWorker[]> {
  const workers = new Map<string, Sighting>()
  for (const sighting of sightings) workers.set(sighting.id, merge(workers.get(sighting.id), sighting))
  const known = new Map((await lock([...workers.keys()])).map(([id, text]) => [id, JSON.parse(text) as string[]]))
  return [...workers.values()].map(({ id, at, queues, agent }) => ({
    id,
    queues: JSON.stringify([...new Set([...(known.get(id) ?? []), ...queues])]),
    at,
    agent,
  }))
}

const merge = (earlier: Sighting | undefined, { id, at, queues, agent }: Sighting): Sighting => ({
  id,
  at: Math.max(earlier?.at ?? at, at),
  queues: [...(earlier?.queues ?? []), ...queues],
  agent: agent ?? earlier?.agent ?? null,
})
