import type { Instant } from '../../../lib/time.ts'
import type { Job } from '../../../model/job.ts'
import type { WaitingFacts } from '../../contract/jobs.ts'
import { Stage } from '../../sql/stages.ts'
import { runningIn } from './claims.ts'
import type { Transaction } from './transaction.ts'

const COUNT_AHEAD_TO = 1_000
const HOLDERS_SHOWN = 10

/** What is to be known of a pending job to tell why it waits. */
export async function waitingFacts(transaction: Transaction, job: Job, now: Instant): Promise<WaitingFacts | null> {
  const key = job.concurrencyKey
  const { lanes } = transaction
  const [row] = await transaction.rows<[Stage, number]>(SELECT_STAGE, job.id)
  if (row === undefined) return null
  const [stage, queueId] = row
  const { paused, concurrency, keyConcurrency } = (await transaction.settings([queueId])).get(queueId)!
  await lanes.rates.readQueue(queueId, now)
  const queue = {
    paused,
    concurrency,
    running: await runningIn(transaction, queueId),
    rateNextAt: lanes.rates.ofQueue(queueId, now).nextAt,
  }
  const place = [queueId, job.priority, job.id, COUNT_AHEAD_TO] as const
  const countAhead = async (sql: string, ...values: readonly string[]): Promise<number> =>
    (await transaction.rows<[number]>(sql, ...place, ...values))[0]![0]
  const facts = { job, queue }
  if (key === null) return { ...facts, stage: waitsFor(stage, job, now, true), ahead: await countAhead(COUNT_AHEAD), key: null }
  const lane = await lanes.peek(queueId, key)
  await lanes.rates.read([lane], now)
  const holders = await transaction.rows<[number, string | null]>(SELECT_HOLDERS, queueId, key, HOLDERS_SHOWN)
  const waitsAs = waitsFor(stage, job, now, lanes.roomOf(lane, now) > 0)
  return {
    ...facts,
    stage: waitsAs,
    ahead: await (waitsAs === 'held' ? countAhead(COUNT_AHEAD_OF_KEY, key) : countAhead(COUNT_AHEAD)),
    key: {
      limit: keyConcurrency,
      holders: holders.map(([id, worker]) => ({ id, worker })),
      running: lane.running,
      rateNextAt: lanes.rates.ofKey(queueId, key, now).nextAt,
    },
  }
}

/** Jobs that are due are moved on by the next claim; until then their stage in the table is that of before. */
function waitsFor(stage: Stage, job: Job, now: Instant, hasRoom: boolean): WaitingFacts['stage'] {
  if (stage === Stage.held) return 'held'
  if (stage === Stage.ready) return 'ready'
  if (job.runAt > now) return 'scheduled'
  return hasRoom ? 'ready' : 'held'
}

const SELECT_STAGE = 'SELECT stage, queue_id FROM octoflow_requests WHERE id = $1 AND stage < 3'

// Ready jobs of a better priority, and older ones of the same. Two ranges of one index, counted no further than needed.
const COUNT_AHEAD = `SELECT count(*) FROM (
  SELECT 1 FROM octoflow_requests WHERE queue_id = $1 AND stage = 0 AND (priority, id) < ($2, $3) LIMIT $4) AS ahead`

// Those of its key that start before it, whether they may at once or not. The stage is no literal, so that the index of the keyed
// jobs serves.
const COUNT_AHEAD_OF_KEY = `SELECT count(*) FROM (
  SELECT job.id FROM (VALUES (0::smallint), (2)) AS waiting (stage), LATERAL (
    SELECT id FROM octoflow_requests
     WHERE queue_id = $1 AND concurrency_key = $5 AND concurrency_key IS NOT NULL AND stage = waiting.stage AND stage + 0 < 3
       AND (priority, id) < ($2, $3)) AS job
  LIMIT $4) AS ahead`

// Running jobs are as many as the workers have hands: few enough to be looked through.
const SELECT_HOLDERS = `SELECT id, worker FROM octoflow_requests
  WHERE stage = 3 AND queue_id = $1 AND concurrency_key = $2 ORDER BY id LIMIT $3`
