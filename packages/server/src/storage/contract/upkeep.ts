import type { Duration, Instant } from '../../lib/time.ts'

/** What keeps the database small. */
export interface UpkeepStore {
  /**
   * Deletes at most about `limit` rows of what has outlived its retention: finished jobs with all that hangs on them,
   * requests without a job, idempotency keys, old roll-ups, workers long gone. Looks at a bounded number of queues and rows,
   * going on where the call before stopped.
   * @param params.retention for queues that set none, and for requests without a job; `null` for ever.
   * @returns how many finished jobs and requests were deleted, and whether there is more to do.
   */
  prune(params: {
    readonly now: Instant
    readonly retention: Duration | null
    readonly limit: number
  }): Promise<{ readonly deleted: number; readonly more: boolean }>

  /** Checks that the database is readable and writable. @throws what stands in the way. */
  check(): Promise<void>

  /** What the database's own clock says; `null` where that is the clock of this machine. */
  time(): Promise<Instant | null>

  size(): Promise<StorageSize>
}

export interface StorageSize {
  /** Bytes on disk, all files together. */
  readonly bytes: number
  /** Bytes of the write-ahead log among them, where there is one. */
  readonly logBytes: number
}
