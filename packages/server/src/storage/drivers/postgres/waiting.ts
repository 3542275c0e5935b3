import type { Stage } from '../../sql/stages.ts'
import { COUNT_AHEAD_TO, HOLDERS_SHOWN, type WaitingStatements } from '../../sql/waiting.ts'
import { runningIn } from './claims.ts'
import type { Transaction } from './transaction.ts'

export const waitingStatements: WaitingStatements<Transaction> = {
  stageOf: async (transaction, id) => (await transaction.rows<[Stage, number]>(SELECT_STAGE, id))[0] ?? null,
  runningIn,
  async countAhead(transaction, queueId, { id, priority }, key) {
    const place = [queueId, priority, id, COUNT_AHEAD_TO] as const
    const rows =
      key === null
        ? transaction.rows<[number]>(COUNT_AHEAD, ...place)
        : transaction.rows<[number]>(COUNT_AHEAD_OF_KEY, ...place, key)
    return (await rows)[0]![0]
  },
  holders: (transaction, queueId, key) =>
    transaction.rows<[number, string | null]>(SELECT_HOLDERS, queueId, key, HOLDERS_SHOWN),
}

const SELECT_STAGE = 'SELECT stage, queue_id FROM octoflow_requests WHERE id = $1 AND stage < 3'

// Two ranges of one index, counted no further than needed.
const COUNT_AHEAD = `SELECT count(*) FROM (
  SELECT 1 FROM octoflow_requests WHERE queue_id = $1 AND stage = 0 AND (priority, id) < ($2, $3) LIMIT $4) AS ahead`

// The stage is no literal, so that the index of the keyed jobs serves.
const COUNT_AHEAD_OF_KEY = `SELECT count(*) FROM (
  SELECT job.id FROM (VALUES (0::smallint), (2)) AS waiting (stage), LATERAL (
    SELECT id FROM octoflow_requests
     WHERE queue_id = $1 AND concurrency_key = $5 AND concurrency_key IS NOT NULL AND stage = waiting.stage AND stage + 0 < 3
       AND (priority, id) < ($2, $3)) AS job
  LIMIT $4) AS ahead`

// Running jobs are as many as the workers have hands: few enough to be looked through.
const SELECT_HOLDERS = `SELECT id, worker FROM octoflow_requests
  WHERE stage = 3 AND queue_id = $1 AND concurrency_key = $2 ORDER BY id LIMIT $3`
