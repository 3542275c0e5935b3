import type { IdempotencyState, IdempotencyStore } from '../../contract/idempotency.ts'
import type { Writer } from './writer.ts'

export class SqliteIdempotency implements IdempotencyStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  begin({ now, key, fingerprint, reservedUntil }: Parameters<IdempotencyStore['begin']>[0]): Promise<IdempotencyState> {
    return this.#writer.write(({ db }) => {
      const known = db.row<[string | null, number | null, string | null]>(SELECT, key, now)
      if (known === undefined) {
        db.run(RESERVE, key, fingerprint, reservedUntil)
        return { kind: 'new' }
      }
      const [first, status, body] = known
      if (first !== fingerprint) return { kind: 'mismatch' }
      return status === null ? { kind: 'in_use' } : { kind: 'answered', status, body: body ?? '' }
    })
  }

  finish({ key, status, body, expiresAt }: Parameters<IdempotencyStore['finish']>[0]): Promise<void> {
    return this.#writer.write(({ db }) => {
      db.run('UPDATE octoflow_idempotency SET status = ?, body = ?, expires_at = ? WHERE key = ?', status, body, expiresAt, key)
    })
  }

  abandon({ key }: Parameters<IdempotencyStore['abandon']>[0]): Promise<void> {
    return this.#writer.write(({ db }) => {
      db.run('DELETE FROM octoflow_idempotency WHERE key = ? AND status IS NULL', key)
    })
  }
}

const SELECT = 'SELECT fingerprint, status, body FROM octoflow_idempotency WHERE key = ? AND expires_at > ?'

const RESERVE = 'INSERT OR REPLACE INTO octoflow_idempotency (key, fingerprint, expires_at) VALUES (?, ?, ?)'
