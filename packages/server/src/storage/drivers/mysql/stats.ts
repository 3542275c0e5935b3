import { type Duration, HOUR, type Instant, MINUTE } from '../../../lib/time.ts'
import type { StatsPoint, StatsStore, StatsSums } from '../../contract/stats.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { rangesOf } from '../../sql/roll-ups.ts'
import type { Database } from './database.ts'

export class MysqlStats implements StatsStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async series({ queues, from, to, step }: Parameters<StatsStore['series']>[0]): Promise<readonly StatsPoint[]> {
    const minutes = step / MINUTE
    const sums = await this.#sums<number>(`FLOOR(s.start / ${minutes}) * ${minutes}`, queues, from, to, step)
    return [...sums].sort(([a], [b]) => a - b).map(([minute, of]) => ({ at: minute * MINUTE, ...of }))
  }

  async totals({ queues, from, to }: Parameters<StatsStore['totals']>[0]): Promise<ReadonlyMap<string, StatsSums>> {
    return this.#sums<string>('q.name', queues, from, to, HOUR)
  }

  /** @param by what the sums are told apart by. */
  async #sums<By>(
    by: string,
    queues: readonly string[] | null,
    from: Instant,
    to: Instant,
    step: Duration,
  ): Promise<Map<By, StatsSums>> {
    const ranges = rangesOf(Math.floor(from / MINUTE), Math.ceil(to / MINUTE), step % HOUR === 0)
    const sql = `SELECT ${by}, ${SUMS} FROM octoflow_stats s JOIN octoflow_queues q ON q.id = s.queue_id
      WHERE s.span = ? AND s.start >= ? AND s.start < ?${queues === null ? '' : ' AND q.name IN (?)'} GROUP BY 1 ORDER BY 1`
    const parts = await this.#db.reading((connection) =>
      Promise.all(
        ranges.map((range) => connection.rows<[By, ...number[]]>(sql, ...range, ...(queues === null ? [] : [queues]))),
      ),
    )
    const sums = new Map<By, StatsSums>()
    for (const [key, ...row] of parts.flat()) sums.set(key, add(row, sums.get(key)))
    return sums
  }
}

const add = (row: readonly number[], to: StatsSums | undefined): StatsSums =>
  Object.fromEntries(STATS_COLUMNS.map((column, index) => [column, row[index]! + (to?.[column] ?? 0)])) as unknown as StatsSums

const SUMS = STATS_COLUMNS.map((column) => `SUM(s.${column})`).join(', ')
