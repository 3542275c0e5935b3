import { type Duration, HOUR, type Instant, MINUTE } from '../../../lib/time.ts'
import type { StatsPoint, StatsStore, StatsSums } from '../../contract/stats.ts'
import { rangesOf } from '../../sql/roll-ups.ts'
import type { Database, Value } from './database.ts'

export class SqliteStats implements StatsStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async series({ queues, from, to, step }: Parameters<StatsStore['series']>[0]): Promise<readonly StatsPoint[]> {
    const minutes = step / MINUTE
    const { source, values } = rows(queues, from, to, step)
    const sql = `SELECT s.start / CAST(? AS INTEGER) * CAST(? AS INTEGER) * ${MINUTE} AS at, ${SUMS} ${source} GROUP BY 1 ORDER BY 1`
    return this.#db.all<StatsPoint>(sql, minutes, minutes, ...values).map((row) => ({ ...row }))
  }

  async totals({ queues, from, to }: Parameters<StatsStore['totals']>[0]): Promise<ReadonlyMap<string, StatsSums>> {
    const { source, values } = rows(queues, from, to, HOUR)
    const sql = `SELECT q.name AS queue, ${SUMS} ${source} GROUP BY q.name ORDER BY q.name`
    const found = this.#db.all<StatsSums & { readonly queue: string }>(sql, ...values)
    return new Map(found.map(({ queue, ...sums }) => [queue, sums]))
  }
}

/** The roll-ups that make up a span of time, none of which reaches over the end of a step. */
function rows(
  queues: readonly string[] | null,
  from: Instant,
  to: Instant,
  step: Duration,
): { readonly source: string; readonly values: readonly Value[] } {
  const ranges = rangesOf(Math.floor(from / MINUTE), Math.ceil(to / MINUTE), step % HOUR === 0)
  const named = queues === null ? '' : 'WHERE q.name IN (SELECT value FROM json_each(?))'
  return {
    source: `FROM octoflow_queues q
      CROSS JOIN (${ranges.map(() => 'SELECT ? AS span, ? AS first, ? AS beyond').join(' UNION ALL ')}) r
      CROSS JOIN octoflow_stats s ON s.queue_id = q.id AND s.span = r.span AND s.start >= r.first AND s.start < r.beyond ${named}`,
    values: [...ranges.flat(), ...(queues === null ? [] : [JSON.stringify(queues)])],
  }
}

// `total()` adds floating-point numbers: a large backlog waits longer, in microseconds, than the largest integer that
// JavaScript reads, and a sum of that size needs no last digits.
const SUMS = [
  ...['submitted', 'started', 'completed', 'failed', 'dead', 'cancelled', 'expired', 'finished'].map(
    (column) => `sum(s.${column}) AS ${column}`,
  ),
  ...['waited', 'ran'].map((column) => `total(s.${column}) AS ${column}`),
].join(', ')
