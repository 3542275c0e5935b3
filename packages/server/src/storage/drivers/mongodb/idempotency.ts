import type { IdempotencyState, IdempotencyStore } from '../../contract/idempotency.ts'
import type { Writer } from './writer.ts'

export class MongoIdempotency implements IdempotencyStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  begin({ now, key, fingerprint, reservedUntil }: Parameters<IdempotencyStore['begin']>[0]): Promise<IdempotencyState> {
    return this.#writer.write(async ({ tables: { idempotency } }): Promise<IdempotencyState> => {
      const known = await idempotency.get(key)
      if (known === null || known.expiresAt <= now) {
        idempotency.put({ _id: key, fingerprint, expiresAt: reservedUntil })
        return { kind: 'new' }
      }
      if (known.fingerprint !== fingerprint || known.request !== undefined) return { kind: 'mismatch' }
      return known.answer === undefined ? { kind: 'in_use' } : { kind: 'answered', ...known.answer }
    })
  }

  finish({ key, status, body, expiresAt }: Parameters<IdempotencyStore['finish']>[0]): Promise<void> {
    return this.#writer.write(async ({ tables: { idempotency } }) => {
      if ((await idempotency.get(key)) !== null) idempotency.update(key, { answer: { status, body }, expiresAt })
    })
  }

  abandon({ key }: Parameters<IdempotencyStore['abandon']>[0]): Promise<void> {
    return this.#writer.write(async ({ tables: { idempotency } }) => {
      const known = await idempotency.get(key)
      if (known?.answer === undefined && known?.request === undefined) idempotency.erase(key)
    })
  }
}
