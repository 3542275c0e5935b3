import { type Instant, MINUTE } from '../../../lib/time.ts'
import type { StatsPoint, StatsStore, StatsSums } from '../../contract/stats.ts'
import type { Database, Value } from './database.ts'

export class SqliteStats implements StatsStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async series({ queues, from, to, step }: Parameters<StatsStore['series']>[0]): Promise<readonly StatsPoint[]> {
    const minutes = step / MINUTE
    const { where, values } = span(queues, from, to)
    const sql = `SELECT s.minute / CAST(? AS INTEGER) * CAST(? AS INTEGER) * ${MINUTE} AS at, ${SUMS} ${FROM} WHERE ${where} GROUP BY 1 ORDER BY 1`
    return this.#db.all<StatsPoint>(sql, minutes, minutes, ...values).map((row) => ({ ...row }))
  }

  async totals({ queues, from, to }: Parameters<StatsStore['totals']>[0]): Promise<ReadonlyMap<string, StatsSums>> {
    const { where, values } = span(queues, from, to)
    const sql = `SELECT q.name AS queue, ${SUMS} ${FROM} WHERE ${where} GROUP BY q.name ORDER BY q.name`
    const rows = this.#db.all<StatsSums & { readonly queue: string }>(sql, ...values)
    return new Map(rows.map(({ queue, ...sums }) => [queue, sums]))
  }
}

function span(queues: readonly string[] | null, from: Instant, to: Instant): { where: string; values: Value[] } {
  const values: Value[] = [Math.floor(from / MINUTE), Math.ceil(to / MINUTE)]
  if (queues === null) return { where: 's.minute >= ? AND s.minute < ?', values }
  return {
    where: 's.minute >= ? AND s.minute < ? AND q.name IN (SELECT value FROM json_each(?))',
    values: [...values, JSON.stringify(queues)],
  }
}

const FROM = 'FROM octoflow_queues q CROSS JOIN octoflow_stats s ON s.queue_id = q.id'

// `total()` adds floating-point numbers: a large backlog waits longer, in microseconds, than the largest integer that
// JavaScript reads, and a sum of that size needs no last digits.
const SUMS = [
  ...['submitted', 'started', 'completed', 'failed', 'dead', 'cancelled', 'expired', 'finished'].map(
    (column) => `sum(s.${column}) AS ${column}`,
  ),
  ...['waited', 'ran'].map((column) => `total(s.${column}) AS ${column}`),
].join(', ')
