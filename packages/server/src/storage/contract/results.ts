import type { Instant } from '../../lib/time.ts'

/** What completed jobs returned. Written by `leases.report`. */
export interface ResultStore {
  find(params: { readonly jobIds: readonly number[] }): Promise<readonly StoredResult[]>
}

export interface StoredResult {
  readonly jobId: number
  readonly at: Instant
  /** JSON text. */
  readonly value: string
}
