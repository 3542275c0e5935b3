import type { Instant } from '../../lib/time.ts'
import type { Queue, QueueSettings } from '../../model/queue.ts'
import type { Page, PageRequest } from './page.ts'

/** Queues, their settings and their counts. Counts are kept up to date by every verb; reading them counts nothing. */
export interface QueueStore {
  /** In order of name. */
  list(params: { readonly page: PageRequest<string> }): Promise<Page<Queue, string>>

  find(params: { readonly names: readonly string[] }): Promise<readonly Queue[]>

  /**
   * Changes settings, making the queue if it is new. The new limits hold from the next claim on.
   * @param params.ifVersion changes nothing unless the queue has this version.
   * @throws `precondition_failed`
   */
  configure(params: {
    readonly now: Instant
    readonly name: string
    readonly change: Partial<QueueSettings>
    readonly ifVersion: number | null
  }): Promise<Queue>
}
