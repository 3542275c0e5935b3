import { MINUTE } from '../../../lib/time.ts'
import { COUNT_COLUMNS, type QueueChange, STATS_COLUMNS, type StatsRow } from '../../sql/queue-change.ts'
import type { Value } from './connection.ts'
import { array } from './values.ts'

/** Writing counts and roll-ups, each to the rows of its connection, the slot. */

type Count = (typeof COUNT_COLUMNS)[number]
type Statistic = (typeof STATS_COLUMNS)[number]

const adding = (table: string, columns: readonly string[]): string =>
  columns.map((column) => `${column} = ${table}.${column} + excluded.${column}`).join(', ')

const FLOATS: ReadonlySet<string> = new Set(['waited', 'ran'])

const COUNTS_END = 2 + COUNT_COLUMNS.length

// The roll-ups for each minute, and for its hour.
export const ADD_SUMS = `WITH counted AS (
    INSERT INTO octoflow_counts AS c (slot, queue_id, ${COUNT_COLUMNS.join(', ')})
    SELECT $1::integer, * FROM unnest($2::integer[], ${COUNT_COLUMNS.map((_, index) => `$${index + 3}::bigint[]`).join(', ')})
    ON CONFLICT (queue_id, slot) DO UPDATE SET ${adding('c', COUNT_COLUMNS)}
  )
  INSERT INTO octoflow_stats AS s (slot, queue_id, span, start, ${STATS_COLUMNS.join(', ')})
  SELECT $1::integer, g.queue_id, span, g.minute - g.minute % span, ${STATS_COLUMNS.map((column) => `sum(g.${column})`).join(', ')}
    FROM (VALUES (1), (60)) AS spans (span), unnest($${COUNTS_END + 1}::integer[], $${COUNTS_END + 2}::integer[], ${STATS_COLUMNS.map(
      (column, index) => `$${index + COUNTS_END + 3}::${FLOATS.has(column) ? 'double precision' : 'bigint'}[]`,
    ).join(', ')}) AS g (queue_id, minute, ${STATS_COLUMNS.join(', ')})
   GROUP BY g.queue_id, span, g.minute - g.minute % span
   ORDER BY g.queue_id, span, g.minute - g.minute % span
  ON CONFLICT (queue_id, span, start, slot) DO UPDATE SET ${adding('s', STATS_COLUMNS)}`

/** The parameters of `ADD_SUMS`. */
export const sumsOf = (slot: number, changed: readonly QueueChange[], sums: readonly StatsRow[]): Value[] => [
  slot,
  array(changed.map(({ id }) => id)),
  ...COUNT_COLUMNS.map((_, stage) => array(changed.map(({ counts }) => counts[stage]!))),
  array(sums.map(({ queueId }) => queueId)),
  array(sums.map(({ minute }) => minute)),
  ...STATS_COLUMNS.map((column) => array(sums.map((sum) => sum[column]))),
]

/**
 * What a statement that changes jobs adds to counts and roll-ups by itself, as three of its subqueries: one round trip less than
 * telling how many there were and having them added.
 * @param from a query for what happened in each queue and minute: `queue_id`, `minute`, `jobs`, and the roll-ups of `took`.
 */
export function addingSums(
  slot: string,
  from: string,
  { moved, took }: { readonly moved: readonly [from: Count, to: Count]; readonly took: Partial<Record<Statistic, string>> },
): string {
  const [left, entered] = moved
  const count = (column: Count): string => (column === left ? '-sum(jobs)' : column === entered ? 'sum(jobs)' : '0')
  return `happened AS MATERIALIZED (${from}), counted AS (
    INSERT INTO octoflow_counts AS c (slot, queue_id, ${COUNT_COLUMNS.join(', ')})
    SELECT ${slot}::integer, queue_id, ${COUNT_COLUMNS.map(count).join(', ')} FROM happened GROUP BY queue_id ORDER BY queue_id
    ON CONFLICT (queue_id, slot) DO UPDATE SET ${adding('c', moved)}
  ), rolled_up AS (
    INSERT INTO octoflow_stats AS s (slot, queue_id, span, start, ${STATS_COLUMNS.join(', ')})
    SELECT ${slot}::integer, queue_id, span, minute - minute % span, ${STATS_COLUMNS.map((column) => (took[column] === undefined ? '0' : `sum(${took[column]})`)).join(', ')}
      FROM (VALUES (1), (60)) AS spans (span), happened
     GROUP BY queue_id, span, minute - minute % span
     ORDER BY queue_id, span, minute - minute % span
    ON CONFLICT (queue_id, span, start, slot) DO UPDATE SET ${adding('s', Object.keys(took))}
  )`
}

/** The minute of an instant, as roll-ups have it. */
export const minuteOf = (at: string): string => `(${at} / ${MINUTE})::integer`
