import type { Instant } from '../../lib/time.ts'
import type { Storage } from '../../storage/contract/storage.ts'
import { RECORD_KINDS, type RecordKind } from '../../storage/contract/transfer.ts'

const AT_ONCE = 500

export interface CopyOptions {
  readonly now: () => Instant
  /** The source's name for people, by which a copy that was interrupted knows itself again. */
  readonly source: string
  /** Ends the copy after the page under way; the next call goes on from there. */
  readonly signal: AbortSignal
  /** Told how many records of the whole are copied. */
  readonly onProgress: (done: number, total: number) => void
}

/**
 * Copies all of one database into another, which must be empty or hold the first part of the same copy. Nobody may use
 * either meanwhile. `to.transfer.finish()` is left to the caller, who may first see whether both hold the same.
 * @returns whether it came to the end; if not, `signal` was fired.
 * @throws `database_not_empty`
 */
export async function copyAll(from: Storage, to: Storage, { now, source, signal, onProgress }: CopyOptions): Promise<boolean> {
  const { next } = await to.transfer.begin({ source })
  const [total, before] = await Promise.all([from.transfer.count(), to.transfer.count()])
  let done = sum(before)
  onProgress(done, sum(total))
  for (const kind of RECORD_KINDS) {
    let after = next[kind] ?? null
    if (after === null && kind in next) continue
    do {
      if (signal.aborted) return false
      const page = await from.transfer.read({ kind, after, limit: AT_ONCE })
      await to.transfer.write({ now: now(), kind, page })
      after = page.next
      done += page.records.length
      onProgress(done, sum(total))
    } while (after !== null)
  }
  return true
}

const sum = (counts: Readonly<Record<RecordKind, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)
