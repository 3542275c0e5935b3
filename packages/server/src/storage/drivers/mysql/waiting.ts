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
  if (key === null) {
    const waitsAs = waitsFor(stage, job, now, true)
    return { job, stage: waitsAs, ahead: await countAhead(transaction, queueId, job, waitsAs), queue, key: null }
  }
  const lane = await lanes.peek(queueId, key)
  await lanes.rates.read([lane], now)
  const holders = await transaction.rows<[number, string | null]>(SELECT_HOLDERS, queueId, key, HOLDERS_SHOWN)
  const waitsAs = waitsFor(stage, job, now, lanes.roomOf(lane, now) > 0)
  return {
    job,
    stage: waitsAs,
    ahead: await countAhead(transaction, queueId, job, waitsAs),
    queue,
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

/** How many jobs of a better priority, and how many older ones of the same, go before it. */
async function countAhead(
  transaction: Transaction,
  queueId: number,
  { id, priority, concurrencyKey }: Job,
  waitsAs: WaitingFacts['stage'],
): Promise<number> {
  const ofKey = waitsAs === 'held' ? concurrencyKey : null
  const ranges =
    ofKey === null
      ? [transaction.rows<[number]>(COUNT_AHEAD, queueId, priority, priority, id, COUNT_AHEAD_TO)]
      : [Stage.ready, Stage.held].map((stage) =>
          transaction.rows<[number]>(COUNT_AHEAD_OF_KEY, queueId, ofKey, stage, priority, priority, id, COUNT_AHEAD_TO),
        )
  const counts = await Promise.all(ranges)
  return Math.min(
    COUNT_AHEAD_TO,
    counts.reduce((sum, [row]) => sum + row![0], 0),
  )
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
