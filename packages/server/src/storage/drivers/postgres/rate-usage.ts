import type { Instant } from '../../../lib/time.ts'
import { type CountedStarts, SharedRateUsage } from '../../sql/rate-usage.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'

export class RateUsage extends SharedRateUsage {
  readonly #transaction: Transaction

  constructor(transaction: Transaction) {
    super(transaction)
    this.#transaction = transaction
  }

  protected override stored(queueId: number, keys: readonly string[], from: Instant): Promise<[string, Instant, number][]> {
    return this.#transaction.rows(SELECT, queueId, textArray(keys), from)
  }

  protected override add(starts: readonly CountedStarts[]): void {
    this.#transaction.send(
      ADD,
      array(starts.map(({ queueId }) => queueId)),
      textArray(starts.map(({ key }) => key)),
      array(starts.map(({ slice }) => slice)),
      array(starts.map(({ used }) => used)),
    )
  }
}

const SELECT = `SELECT key, slice, used FROM octoflow_rate_usage
  WHERE queue_id = $1 AND key = ANY ($2::text[]) AND slice >= $3 ORDER BY slice`

const ADD = `INSERT INTO octoflow_rate_usage AS u (queue_id, key, slice, used)
  SELECT * FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::integer[])
  ON CONFLICT (queue_id, key, slice) DO UPDATE SET used = u.used + excluded.used`
