import { type Duration, HOUR, type Instant, MINUTE } from '../../../lib/time.ts'
import type { StatsPoint, StatsStore, StatsSums } from '../../contract/stats.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import { rangesOf } from '../../sql/roll-ups.ts'
import type { Value } from './connection.ts'
import type { Database } from './database.ts'
import { array, textArray } from './values.ts'

export class PostgresStats implements StatsStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async series({ queues, from, to, step }: Parameters<StatsStore['series']>[0]): Promise<readonly StatsPoint[]> {
    const rows = await this.#db.rows<[number, ...number[]]>(SELECT_SERIES, ...read(queues, from, to, step), step / MINUTE)
    return rows.map(([minute, ...sums]) => ({ at: minute * MINUTE, ...toSums(sums) }))
  }

  async totals({ queues, from, to }: Parameters<StatsStore['totals']>[0]): Promise<ReadonlyMap<string, StatsSums>> {
    const rows = await this.#db.rows<[string, ...number[]]>(SELECT_TOTALS, ...read(queues, from, to, HOUR))
    return new Map(rows.map(([queue, ...sums]) => [queue, toSums(sums)]))
  }
}

/** The roll-ups that make up a span of time, none of which reaches over the end of a step. */
function read(queues: readonly string[] | null, from: Instant, to: Instant, step: Duration): Value[] {
  const ranges = rangesOf(Math.floor(from / MINUTE), Math.ceil(to / MINUTE), step % HOUR === 0)
  const column = (at: 0 | 1 | 2): string => array(ranges.map((range) => range[at]))
  return [column(0), column(1), column(2), queues === null ? null : textArray(queues)]
}

const toSums = (sums: readonly number[]): StatsSums =>
  Object.fromEntries(STATS_COLUMNS.map((column, index) => [column, sums[index]!])) as unknown as StatsSums

const SUMS = STATS_COLUMNS.map((column) => `sum(s.${column})`).join(', ')

const FROM = `FROM octoflow_queues q
  CROSS JOIN unnest($1::smallint[], $2::integer[], $3::integer[]) AS r (span, first, beyond)
  JOIN octoflow_stats s ON s.queue_id = q.id AND s.span = r.span AND s.start >= r.first AND s.start < r.beyond
  WHERE $4::text[] IS NULL OR q.name = ANY ($4::text[])`

const SELECT_SERIES = `SELECT s.start / $5::bigint * $5::bigint, ${SUMS} ${FROM} GROUP BY 1 ORDER BY 1`

const SELECT_TOTALS = `SELECT q.name, ${SUMS} ${FROM} GROUP BY q.name ORDER BY q.name`
