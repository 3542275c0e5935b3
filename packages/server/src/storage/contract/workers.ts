import type { Instant } from '../../lib/time.ts'
import type { WorkerInfo } from '../../model/worker.ts'

/** Who works. */
export interface WorkerStore {
  /** Notes that workers were heard of; adds to the queues they are known to serve. */
  seen(params: { readonly workers: readonly Sighting[] }): Promise<void>

  list(params: { readonly since: Instant }): Promise<readonly WorkerInfo[]>

  /** @returns whether there is such a worker. */
  setDraining(params: { readonly id: string; readonly draining: boolean }): Promise<boolean>
}

export interface Sighting {
  readonly id: string
  readonly at: Instant
  readonly queues: readonly string[]
  readonly agent: string | null
}
