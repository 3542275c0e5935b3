import type { Instant } from '../../../lib/time.ts'
import { type CountedStarts, SharedRateUsage } from '../../sql/rate-usage.ts'
import type { Transaction } from './transaction.ts'

export class RateUsage extends SharedRateUsage {
  readonly #transaction: Transaction

  constructor(transaction: Transaction) {
    super(transaction)
    this.#transaction = transaction
  }

  protected override stored(queueId: number, keys: readonly string[], from: Instant): Promise<[string, Instant, number][]> {
    return this.#transaction.rows(SELECT, queueId, keys, from)
  }

  protected override add(starts: readonly CountedStarts[]): void {
    this.#transaction.send(
      ADD,
      starts.toSorted(inOrder).map(({ queueId, key, slice, used }) => [queueId, key, slice, used]),
    )
  }
}

const inOrder = (a: CountedStarts, b: CountedStarts): number => a.queueId - b.queueId || (a.key < b.key ? -1 : 1)

const SELECT = `SELECT counter, slice, used FROM octoflow_rate_usage
  WHERE queue_id = ? AND counter IN (?) AND slice >= ? ORDER BY slice`

const ADD = `INSERT INTO octoflow_rate_usage (queue_id, counter, slice, used) VALUES ?
  ON DUPLICATE KEY UPDATE used = used + VALUES(used)`
