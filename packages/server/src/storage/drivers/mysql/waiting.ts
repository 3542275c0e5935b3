import { Stage } from '../../sql/stages.ts'
import { COUNT_AHEAD_TO, HOLDERS_SHOWN, type WaitingStatements } from '../../sql/waiting.ts'
import { runningIn } from './claims.ts'
import type { Transaction } from './transaction.ts'

export const waitingStatements: WaitingStatements<Transaction> = {
  stageOf: async (transaction, id) => (await transaction.rows<[Stage, number]>(SELECT_STAGE, id))[0] ?? null,
  runningIn,
  async countAhead(transaction, queueId, { id, priority }, key) {
    const place = [priority, priority, id, COUNT_AHEAD_TO] as const
    const ranges =
      key === null
        ? [transaction.rows<[number]>(COUNT_AHEAD, queueId, ...place)]
        : [Stage.ready, Stage.held].map((stage) =>
            transaction.rows<[number]>(COUNT_AHEAD_OF_KEY, queueId, key, stage, ...place),
          )
    const counts = await Promise.all(ranges)
    return Math.min(
      COUNT_AHEAD_TO,
      counts.reduce((sum, [row]) => sum + row![0], 0),
    )
  },
  holders: (transaction, queueId, key) =>
    transaction.rows<[number, string | null]>(SELECT_HOLDERS, queueId, key, HOLDERS_SHOWN),
}

const SELECT_STAGE = 'SELECT stage, queue_id FROM octoflow_requests WHERE id = ? AND stage < 3'

// Ranges of one index, counted no further than needed.
const COUNT_AHEAD = `SELECT COUNT(*) FROM (
  SELECT 1 FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = 0 AND (place < ? OR (place = ? AND id < ?)) LIMIT ?) AS ahead`

const COUNT_AHEAD_OF_KEY = `SELECT COUNT(*) FROM (
  SELECT 1 FROM octoflow_requests FORCE INDEX (octoflow_requests_keyed)
  WHERE lane_queue = ? AND concurrency_key = ? AND lane_stage = ? AND (priority < ? OR (priority = ? AND id < ?)) LIMIT ?) AS ahead`

const SELECT_HOLDERS = `SELECT id, worker FROM octoflow_requests FORCE INDEX (octoflow_requests_keyed)
  WHERE lane_queue = ? AND concurrency_key = ? AND lane_stage = 3 ORDER BY id LIMIT ?`
