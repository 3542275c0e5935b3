import type { Instant } from '../../lib/time.ts'

/** One server at a time does what must not be done twice. Leadership is a lease. */
export interface LeaderStore {
  /** Takes or renews the lease. */
  acquire(params: { readonly now: Instant; readonly holder: string; readonly until: Instant }): Promise<Leadership>

  /** Gives the lease up if `holder` has it. */
  resign(params: { readonly holder: string }): Promise<void>
}

export interface Leadership {
  readonly leader: boolean
  /** Rises with every change of leader. */
  readonly term: number
}
