import type { IdempotencyState, IdempotencyStore } from '../../contract/idempotency.ts'
import type { Idempotency, Submitted } from '../../contract/requests.ts'
import type { Item } from './submits.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

export class PostgresIdempotency implements IdempotencyStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  begin({ now, key, fingerprint, reservedUntil }: Parameters<IdempotencyStore['begin']>[0]): Promise<IdempotencyState> {
    return this.#writer.write(async (transaction) => {
      const reserved = await transaction.rows(
        RESERVE,
        textArray([key]),
        textArray([fingerprint]),
        array([reservedUntil]),
        array([now]),
      )
      if (reserved.length > 0) return { kind: 'new' }
      const [known] = await transaction.rows<[string | null, number | null, string | null]>(SELECT_ANSWER, key)
      const [first, status, body] = known!
      if (first !== fingerprint) return { kind: 'mismatch' }
      return status === null ? { kind: 'in_use' } : { kind: 'answered', status, body: body ?? '' }
    })
  }

  finish({ key, status, body, expiresAt }: Parameters<IdempotencyStore['finish']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(FINISH, key, status, body, expiresAt), { repeatable: true })
  }

  abandon({ key }: Parameters<IdempotencyStore['abandon']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(ABANDON, key), { repeatable: true })
  }
}

type Marked = Item & { readonly request: { readonly idempotency: Idempotency } }

const isMarked = (item: Item): item is Marked => item.request.idempotency !== null

/**
 * Answers the items of a submit that repeat an earlier one, or one before them in the same batch. The keys of the others are
 * taken, so that whoever comes with one of them waits for this transaction.
 */
export async function idempotencyAnswers(transaction: Transaction, items: readonly Item[]): Promise<void> {
  const firsts = new Map<string, Marked>()
  const later: Marked[] = []
  for (const item of items.filter(isMarked)) {
    if (firsts.has(item.request.idempotency.key)) later.push(item)
    else firsts.set(item.request.idempotency.key, item)
  }
  if (firsts.size === 0) return
  const marks = [...firsts.values()].map(({ request, now }) => ({ ...request.idempotency, now }))
  const keys = textArray(marks.map(({ key }) => key))
  const reserved = await transaction.rows<[string]>(
    RESERVE,
    keys,
    textArray(marks.map(({ fingerprint }) => fingerprint)),
    array(marks.map(({ expiresAt }) => expiresAt)),
    array(marks.map(({ now }) => now)),
  )
  const known = new Map<string, KnownRecord>()
  if (reserved.length < firsts.size) {
    const taken = new Set(reserved.map(([key]) => key))
    for (const record of await transaction.rows<KnownRecord>(SELECT_KNOWN, keys))
      if (!taken.has(record[0])) known.set(record[0], record)
  }
  for (const [key, item] of firsts) {
    const record = known.get(key)
    if (record !== undefined) item.answer = answerTo(item.request.idempotency, record)
  }
  for (const item of later) {
    const { key } = item.request.idempotency
    const first = firsts.get(key)!
    item.follow = () => {
      const { fingerprint } = first.request.idempotency
      const { id, hasJob } = first.answer!
      return answerTo(item.request.idempotency, known.get(key) ?? [key, fingerprint, id, hasJob])
    }
  }
}

type KnownRecord = readonly [key: string, fingerprint: string | null, requestId: number | null, hasJob: boolean | null]

function answerTo({ fingerprint }: Idempotency, [, first, id, hasJob]: KnownRecord): Submitted {
  if (id === null || (fingerprint !== null && first !== fingerprint)) return MISMATCH
  return { id, hasJob: hasJob === true, outcome: 'repeated' }
}

const MISMATCH: Submitted = { id: 0, hasJob: false, outcome: 'mismatch' }

/** Answers those that came later in the batch with a key, and keeps the answers of the first. */
export function rememberAnswers(transaction: Transaction, items: readonly Item[]): void {
  const kept: Marked[] = []
  for (const item of items.filter(isMarked)) {
    const { outcome } = item.answer!
    if (outcome === 'created' || outcome === 'existing') kept.push(item)
  }
  if (kept.length === 0) return
  transaction.send(
    REMEMBER,
    textArray(kept.map(({ request }) => request.idempotency.key)),
    array(kept.map(({ answer }) => answer!.id)),
    array(kept.map(({ answer }) => answer!.hasJob)),
  )
}

// In order of the keys, as everybody takes them. A key that another transaction takes at this moment is waited for; one that
// has expired is free.
const RESERVE = `INSERT INTO octoflow_idempotency AS i (key, fingerprint, expires_at)
  SELECT g.key, g.fingerprint, g.expires_at
    FROM unnest($1::text[], $2::text[], $3::bigint[]) AS g (key, fingerprint, expires_at) ORDER BY g.key COLLATE "C"
  ON CONFLICT (key) DO UPDATE
    SET fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, request_id = NULL, has_job = NULL, status = NULL, body = NULL
    WHERE i.expires_at <= ($4::bigint[])[array_position($1::text[], i.key)]
  RETURNING i.key`

const SELECT_ANSWER = 'SELECT fingerprint, status, body FROM octoflow_idempotency WHERE key = $1'

const SELECT_KNOWN = 'SELECT key, fingerprint, request_id, has_job FROM octoflow_idempotency WHERE key = ANY ($1::text[])'

const REMEMBER = `UPDATE octoflow_idempotency i SET request_id = g.id, has_job = g.has_job
  FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS g (key, id, has_job) WHERE i.key = g.key`

const FINISH = 'UPDATE octoflow_idempotency SET status = $2, body = $3, expires_at = $4 WHERE key = $1'

const ABANDON = 'DELETE FROM octoflow_idempotency WHERE key = $1 AND status IS NULL'
