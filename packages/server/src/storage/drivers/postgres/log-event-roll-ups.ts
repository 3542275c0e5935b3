import type { Queryable } from './connection.ts'
import type { Transaction } from './transaction.ts'

export async function countTypes(from: Queryable): Promise<{ readonly type: string; readonly count: number }[]> {
  return (await from.rows<[string, number]>(SELECT_TYPES)).map(([type, count]) => ({ type, count }))
}

/** What the connections noted of a minute, or a day, that is past becomes one row; none where nothing is left. */
export function foldLogEventCounts(transaction: Transaction, minute: number): void {
  transaction.send(FOLD, minute)
  transaction.send(DELETE_OBSOLETE)
}

const SELECT_TYPES = `SELECT type, sum(events) FROM octoflow_log_event_counts WHERE span = 0 AND start = 0
  GROUP BY type HAVING sum(events) > 0 ORDER BY type`

const FOLD = `WITH gone AS (
    DELETE FROM octoflow_log_event_counts WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM octoflow_log_event_counts WHERE slot >= 0 AND span > 0 AND start < $1 AND start + span <= $1
       ORDER BY start LIMIT 5000 FOR UPDATE SKIP LOCKED))
    RETURNING *)
  INSERT INTO octoflow_log_event_counts AS c (span, start, type, slot, events)
  SELECT span, start, type, -1, sum(events) FROM gone GROUP BY span, start, type ORDER BY span, start, type
  ON CONFLICT (span, start, type, slot) DO UPDATE SET events = c.events + excluded.events`

const DELETE_OBSOLETE = `DELETE FROM octoflow_log_event_counts WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM octoflow_log_event_counts WHERE slot < 0 AND events = 0 LIMIT 5000 FOR UPDATE SKIP LOCKED))`
