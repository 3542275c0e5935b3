import type { Instant } from '../../../lib/time.ts'
import type { IdempotencyState, IdempotencyStore } from '../../contract/idempotency.ts'
import { type KeptAnswer, type KnownRequest, type Mark, stateOfKnown } from '../../sql/idempotency.ts'
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
      return stateOfKnown(fingerprint, { fingerprint: first, status, body })
    })
  }

  finish({ key, status, body, expiresAt }: Parameters<IdempotencyStore['finish']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(FINISH, status, body, expiresAt, key), { repeatable: true })
  }

  abandon({ key }: Parameters<IdempotencyStore['abandon']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(ABANDON, key), { repeatable: true })
  }
}

export async function lockKeys(transaction: Transaction, marks: readonly Mark[]): Promise<ReadonlyMap<string, KnownRequest>> {
  const known = await lockKnown(transaction, new Map(marks.map(({ key, now }) => [key, now])))
  return new Map([...known].map(([key, [, , fingerprint, id, hasJob]]) => [key, { fingerprint, id, hasJob: hasJob === 1 }]))
}

export function keepAnswers(transaction: Transaction, answers: readonly KeptAnswer[]): void {
  const rows = answers.map(({ key, fingerprint, id, hasJob, expiresAt }) => [key, fingerprint, id, hasJob, expiresAt] as const)
  // In order, as everybody's keys are.
  transaction.send(
    REMEMBER,
    rows.toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
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
