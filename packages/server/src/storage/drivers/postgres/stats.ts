import { type Duration, type Instant, MINUTE } from '../../../lib/time.ts'
import type { StatsPoint, StatsStore, StatsSums } from '../../contract/stats.ts'
import type { Value } from './connection.ts'
import type { Database } from './database.ts'
import { STATS_COLUMNS } from './queue-rows.ts'
import { textArray } from './values.ts'

export class PostgresStats implements StatsStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async series({ queues, from, to, step }: Parameters<StatsStore['series']>[0]): Promise<readonly StatsPoint[]> {
    const minutes: Duration = step / MINUTE
    const rows = await this.#db.rows<[number, ...number[]]>(SELECT_SERIES, ...span(queues, from, to), minutes)
    return rows.map(([minute, ...sums]) => ({ at: minute * MINUTE, ...toSums(sums) }))
  }

  async totals({ queues, from, to }: Parameters<StatsStore['totals']>[0]): Promise<ReadonlyMap<string, StatsSums>> {
    const rows = await this.#db.rows<[string, ...number[]]>(SELECT_TOTALS, ...span(queues, from, to))
    return new Map(rows.map(([queue, ...sums]) => [queue, toSums(sums)]))
  }
}

const span = (queues: readonly string[] | null, from: Instant, to: Instant): Value[] => [
  Math.floor(from / MINUTE),
  Math.ceil(to / MINUTE),
  queues === null ? null : textArray(queues),
]

const toSums = (sums: readonly number[]): StatsSums =>
  Object.fromEntries(STATS_COLUMNS.map((column, index) => [column, sums[index]!])) as unknown as StatsSums

const SUMS = STATS_COLUMNS.map((column) => `sum(s.${column})`).join(', ')

const FROM = `FROM octoflow_queues q JOIN octoflow_stats s ON s.queue_id = q.id
  WHERE s.minute >= $1::bigint AND s.minute < $2::bigint AND ($3::text[] IS NULL OR q.name = ANY ($3::text[]))`

const SELECT_SERIES = `SELECT s.minute / $4::bigint * $4::bigint, ${SUMS} ${FROM} GROUP BY 1 ORDER BY 1`

const SELECT_TOTALS = `SELECT q.name, ${SUMS} ${FROM} GROUP BY q.name ORDER BY q.name`
