import type { Instant } from '../../lib/time.ts'

/**
 * Answers kept for repeated calls. Submits have their own handling inside `requests.submit`, in the transaction that
 * makes the job; this is for all other unsafe calls. Both draw on one space of keys: what is known to one of them is a
 * mismatch to the other.
 */
export interface IdempotencyStore {
  /** Reserves a key for a call, or tells what became of the first call under it. */
  begin(params: {
    readonly now: Instant
    readonly key: string
    readonly fingerprint: string
    /** When the reservation lapses if `finish` never comes. */
    readonly reservedUntil: Instant
  }): Promise<IdempotencyState>

  /** Keeps the answer until `expiresAt`. */
  finish(params: {
    readonly key: string
    readonly status: number
    readonly body: string
    readonly expiresAt: Instant
  }): Promise<void>

  /** Gives a reservation up, so that the call may be tried again. */
  abandon(params: { readonly key: string }): Promise<void>
}

export type IdempotencyState =
  | { readonly kind: 'new' | 'in_use' | 'mismatch' }
  | { readonly kind: 'answered'; readonly status: number; readonly body: string }
