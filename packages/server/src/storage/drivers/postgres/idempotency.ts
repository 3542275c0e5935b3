import type { IdempotencyState, IdempotencyStore } from '../../contract/idempotency.ts'
import { type KeptAnswer, type KnownRequest, type Mark, stateOfKnown } from '../../sql/idempotency.ts'
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
      const reserved = await reserve(transaction, [{ key, fingerprint, expiresAt: reservedUntil, now }])
      if (reserved.length > 0) return { kind: 'new' }
      const [known] = await transaction.rows<[string | null, number | null, string | null]>(SELECT_ANSWER, key)
      const [first, status, body] = known!
      return stateOfKnown(fingerprint, { fingerprint: first, status, body })
    })
  }

  finish({ key, status, body, expiresAt }: Parameters<IdempotencyStore['finish']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(FINISH, key, status, body, expiresAt), { repeatable: true })
  }

  abandon({ key }: Parameters<IdempotencyStore['abandon']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(ABANDON, key), { repeatable: true })
  }
}

/** Takes the keys that are free, so that whoever comes with one of them waits for this transaction. */
export async function lockKeys(transaction: Transaction, marks: readonly Mark[]): Promise<ReadonlyMap<string, KnownRequest>> {
  const reserved = new Set((await reserve(transaction, marks)).map(([key]) => key))
  if (reserved.size === marks.length) return new Map()
  const rows = await transaction.rows<KnownRecord>(SELECT_KNOWN, textArray(marks.map(({ key }) => key)))
  return new Map(
    rows
      .filter(([key]) => !reserved.has(key))
      .map(([key, fingerprint, id, hasJob]) => [key, { fingerprint, id, hasJob: hasJob === true }]),
  )
}

/** @returns the keys that were free. */
const reserve = (transaction: Transaction, marks: readonly Mark[]): Promise<[key: string][]> =>
  transaction.rows(
    RESERVE,
    textArray(marks.map(({ key }) => key)),
    textArray(marks.map(({ fingerprint }) => fingerprint)),
    array(marks.map(({ expiresAt }) => expiresAt)),
    array(marks.map(({ now }) => now)),
  )

type KnownRecord = readonly [key: string, fingerprint: string | null, requestId: number | null, hasJob: boolean | null]

export function keepAnswers(transaction: Transaction, answers: readonly KeptAnswer[]): void {
  transaction.send(
    REMEMBER,
    textArray(answers.map(({ key }) => key)),
    array(answers.map(({ id }) => id)),
    array(answers.map(({ hasJob }) => hasJob)),
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
