import type { Instant } from '../../lib/time.ts'
import type { IdempotencyState } from '../contract/idempotency.ts'
import type { Idempotency, Submitted } from '../contract/requests.ts'
import type { Item } from './submits.ts'

/** The key that a request comes with. */
export interface Mark extends Idempotency {
  readonly now: Instant
}

/** The request that came first with a key. */
export interface KnownRequest {
  readonly fingerprint: string | null
  /** `null` where it was not a submit that took the key. */
  readonly id: number | null
  readonly hasJob: boolean
}

/** What is kept for those that come again with a key. */
export interface KeptAnswer extends Idempotency {
  readonly id: number
  readonly hasJob: boolean
}

type Marked = Item & { readonly request: { readonly idempotency: Idempotency } }

const isMarked = (item: Item): item is Marked => item.request.idempotency !== null

/**
 * Answers the items of a submit that repeat an earlier one, or one before them in the same batch.
 * @param lock gives what is known of keys, each at a time of its own.
 */
export async function answerRepeated(
  items: readonly Item[],
  lock: (marks: readonly Mark[]) => Promise<ReadonlyMap<string, KnownRequest>>,
): Promise<void> {
  const firsts = new Map<string, Marked>()
  const later: Marked[] = []
  for (const item of items.filter(isMarked)) {
    if (firsts.has(item.request.idempotency.key)) later.push(item)
    else firsts.set(item.request.idempotency.key, item)
  }
  if (firsts.size === 0) return
  const known = await lock([...firsts.values()].map(({ request, now }) => ({ ...request.idempotency, now })))
  for (const [key, item] of firsts) {
    const first = known.get(key)
    if (first !== undefined) item.answer = answerTo(item.request.idempotency, first)
  }
  for (const item of later) {
    const { idempotency } = item.request
    const first = firsts.get(idempotency.key)!
    item.follow = () => {
      const { fingerprint } = first.request.idempotency
      return answerTo(idempotency, known.get(idempotency.key) ?? { ...first.answer!, fingerprint })
    }
  }
}

function answerTo({ fingerprint }: Idempotency, first: KnownRequest): Submitted {
  if (first.id === null || (fingerprint !== null && first.fingerprint !== fingerprint)) return MISMATCH
  return { id: first.id, hasJob: first.hasJob, outcome: 'repeated' }
}

const MISMATCH: Submitted = { id: 0, hasJob: false, outcome: 'mismatch' }

/** The answers of those items that were the first with their key. */
export const answersToKeep = (items: readonly Item[]): readonly KeptAnswer[] =>
  items.filter(isMarked).flatMap(({ request, answer }) => {
    const { id, hasJob, outcome } = answer!
    return outcome === 'created' || outcome === 'existing' ? [{ ...request.idempotency, id, hasJob }] : []
  })

/** What a call is told that comes with the key of another, whose status and body are those of its answer. */
export function stateOfKnown(
  fingerprint: string,
  first: { readonly fingerprint: string | null; readonly status: number | null; readonly body: string | null },
): IdempotencyState {
  if (first.fingerprint !== fingerprint) return { kind: 'mismatch' }
  return first.status === null ? { kind: 'in_use' } : { kind: 'answered', status: first.status, body: first.body ?? '' }
}
