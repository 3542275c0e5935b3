import type { Instant } from '../../../lib/time.ts'
import type { IdempotencyState, IdempotencyStore } from '../../contract/idempotency.ts'
import type { Idempotency, Submitted } from '../../contract/requests.ts'
import type { Item } from './submits.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

export class MysqlIdempotency implements IdempotencyStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  begin({ now, key, fingerprint, reservedUntil }: Parameters<IdempotencyStore['begin']>[0]): Promise<IdempotencyState> {
    return this.#writer.write(async (transaction) => {
      const known = (await lockKnown(transaction, new Map([[key, now]]))).get(key)
      if (known === undefined) {
        transaction.send(RESERVE, key, fingerprint, reservedUntil)
        return { kind: 'new' }
      }
      const [, , first, , , status, body] = known
      if (first !== fingerprint) return { kind: 'mismatch' }
      return status === null ? { kind: 'in_use' } : { kind: 'answered', status, body: body ?? '' }
    })
  }

  finish({ key, status, body, expiresAt }: Parameters<IdempotencyStore['finish']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(FINISH, status, body, expiresAt, key), { repeatable: true })
  }

  abandon({ key }: Parameters<IdempotencyStore['abandon']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(ABANDON, key), { repeatable: true })
  }
}

type Marked = Item & { readonly request: { readonly idempotency: Idempotency } }

const isMarked = (item: Item): item is Marked => item.request.idempotency !== null

/** Answers the items of a submit that repeat an earlier one, or one before them in the same batch. */
export async function idempotencyAnswers(transaction: Transaction, items: readonly Item[]): Promise<void> {
  const firsts = new Map<string, Marked>()
  const later: Marked[] = []
  for (const item of items.filter(isMarked)) {
    if (firsts.has(item.request.idempotency.key)) later.push(item)
    else firsts.set(item.request.idempotency.key, item)
  }
  if (firsts.size === 0) return
  const known = await lockKnown(transaction, new Map([...firsts].map(([key, { now }]) => [key, now])))
  for (const [key, item] of firsts) {
    const record = known.get(key)
    if (record !== undefined) item.answer = answerTo(item.request.idempotency, record[2], record[3], record[4] === 1)
  }
  for (const item of later) {
    const { key } = item.request.idempotency
    const first = firsts.get(key)!
    item.follow = () => {
      const record = known.get(key)
      if (record !== undefined) return answerTo(item.request.idempotency, record[2], record[3], record[4] === 1)
      const { id, hasJob } = first.answer!
      return answerTo(item.request.idempotency, first.request.idempotency.fingerprint, id, hasJob)
    }
  }
}

function answerTo({ fingerprint }: Idempotency, first: string | null, id: number | null, hasJob: boolean): Submitted {
  if (id === null || (fingerprint !== null && first !== fingerprint)) return MISMATCH
  return { id, hasJob, outcome: 'repeated' }
}

const MISMATCH: Submitted = { id: 0, hasJob: false, outcome: 'mismatch' }

/** Keeps the answers of those that were the first with their key. */
export function rememberAnswers(transaction: Transaction, items: readonly Item[]): void {
  const kept = items.filter(isMarked).filter(({ answer }) => answer!.outcome === 'created' || answer!.outcome === 'existing')
  if (kept.length === 0) return
  const rows = kept.map(({ request: { idempotency }, answer }) => {
    const { key, fingerprint, expiresAt } = idempotency
    return [key, fingerprint, answer!.id, answer!.hasJob, expiresAt] as const
  })
  // In order, as everybody's keys are.
  rows.sort(([a], [b]) => (a < b ? -1 : 1))
  transaction.send(REMEMBER, rows)
}

type KnownRecord = readonly [
  key: string,
  expiresAt: Instant,
  fingerprint: string | null,
  requestId: number | null,
  hasJob: number | null,
  status: number | null,
  body: string | null,
]

/**
 * What is known of keys, each at a time of its own. One that has expired is deleted, and so as free as one never heard of.
 * Whoever takes a free one at this moment makes the insert below wait and then fail, and this transaction begins anew.
 */
async function lockKnown(transaction: Transaction, keys: ReadonlyMap<string, Instant>): Promise<Map<string, KnownRecord>> {
  const rows = await transaction.rows<KnownRecord>(LOCK, [...keys.keys()])
  const expired = rows.filter(([key, expiresAt]) => expiresAt <= keys.get(key)!).map(([key]) => key)
  if (expired.length > 0) transaction.send('DELETE FROM octoflow_idempotency WHERE name IN (?)', expired)
  return new Map(rows.filter(([key]) => !expired.includes(key)).map((record) => [record[0], record]))
}

const LOCK = `SELECT name, expires_at, fingerprint, request_id, has_job, status, body
  FROM octoflow_idempotency FORCE INDEX (PRIMARY) WHERE name IN (?) ORDER BY name FOR UPDATE`

const RESERVE = 'INSERT INTO octoflow_idempotency (name, fingerprint, expires_at) VALUES (?, ?, ?)'

const REMEMBER = 'INSERT INTO octoflow_idempotency (name, fingerprint, request_id, has_job, expires_at) VALUES ?'

const FINISH = 'UPDATE octoflow_idempotency SET status = ?, body = ?, expires_at = ? WHERE name = ?'

const ABANDON = 'DELETE FROM octoflow_idempotency WHERE name = ? AND status IS NULL'
