import { type Duration, HOUR, type Instant, MINUTE } from '../../../lib/time.ts'
import type { StatsPoint, StatsStore, StatsSums } from '../../contract/stats.ts'
import { rangesOf } from '../../sql/roll-ups.ts'
import type { Connection } from './connection.ts'
import type { StatsDocument } from './documents.ts'
import { addSums, noSums, type Sums } from './sums.ts'

export class MongoStats implements StatsStore {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async series({ queues, from, to, step }: Parameters<StatsStore['series']>[0]): Promise<readonly StatsPoint[]> {
    const minutes = step / MINUTE
    const sums = await this.#sum(queues, from, to, step, ({ start }) => Math.floor(start / minutes) * minutes * MINUTE)
    return [...sums].sort(([a], [b]) => a - b).map(([at, values]) => ({ at, ...values }))
  }

  async totals({ queues, from, to }: Parameters<StatsStore['totals']>[0]): Promise<ReadonlyMap<string, StatsSums>> {
    return this.#sum(queues, from, to, HOUR, ({ queue }) => queue)
  }

  async #sum<Key>(
    queues: readonly string[] | null,
    from: Instant,
    to: Instant,
    step: Duration,
    keyOf: (document: StatsDocument) => Key,
  ): Promise<Map<Key, Sums>> {
    const ranges = rangesOf(Math.floor(from / MINUTE), Math.ceil(to / MINUTE), step % HOUR === 0)
    const $or = ranges.map(([span, first, beyond]) => ({ span, start: { $gte: first, $lt: beyond } }))
    const sums = new Map<Key, Sums>()
    for (const document of await this.#connection.find('stats', {
      filter: queues === null ? { $or } : { $or, queue: { $in: queues } },
    })) {
      const key = keyOf(document)
      let sum = sums.get(key)
      if (sum === undefined) {
        sum = noSums()
        sums.set(key, sum)
      }
      addSums(sum, document)
    }
    return sums
  }
}
