import type { Queryable } from './connection.ts'
import { adding, type Transaction } from './transaction.ts'
import type { Scalar } from './values.ts'

export async function countTypes(from: Queryable): Promise<{ readonly type: string; readonly count: number }[]> {
  return (await from.rows<[string, number]>(SELECT_TYPES)).map(([type, count]) => ({ type, count }))
}

/** What the connections noted of a minute, or a day, that is past becomes one row; none where nothing is left. */
export async function foldLogEventCounts(transaction: Transaction, minute: number, limit: number): Promise<void> {
  const rows = await transaction.rows<CountRecord>(LOCK_UNFOLDED, minute, limit)
  const sums = new Map<string, CountRecord>()
  for (const [span, start, type, slot, events] of rows) {
    transaction.send(DELETE, span, start, type, slot)
    const name = `${span} ${start} ${type}`
    sums.set(name, [span, start, type, FOLDED, events + (sums.get(name)?.[4] ?? 0)])
  }
  transaction.insert(
    ADD_FOLDED,
    [...sums.values()].map((sum): Scalar[] => [...sum]),
  )
  transaction.send(DELETE_OBSOLETE, limit)
}

type CountRecord = readonly [span: number, start: number, type: string, slot: number, events: number]

/** Stands for all connections. */
const FOLDED = -1

const SELECT_TYPES = `SELECT type, SUM(events) FROM octoflow_log_event_counts WHERE span = 0 AND start = 0
  GROUP BY type HAVING SUM(events) > 0 ORDER BY type`

const LOCK_UNFOLDED = `SELECT span, start, type, slot, events
  FROM octoflow_log_event_counts FORCE INDEX (octoflow_log_event_counts_unfolded)
  WHERE open_until <= ? ORDER BY open_until LIMIT ? FOR UPDATE SKIP LOCKED`

const DELETE = 'DELETE FROM octoflow_log_event_counts WHERE span = ? AND start = ? AND type = ? AND slot = ?'

const ADD_FOLDED = `INSERT INTO octoflow_log_event_counts (span, start, type, slot, events)
  VALUES ? ON DUPLICATE KEY UPDATE ${adding(['events'])}`

const DELETE_OBSOLETE = 'DELETE FROM octoflow_log_event_counts WHERE is_obsolete = 1 LIMIT ?'
