import type { Instant } from '../../../lib/time.ts'
import type { Job } from '../../../model/job.ts'
import type { WaitingFacts } from '../../contract/jobs.ts'
import { Stage } from '../../sql/stages.ts'
import { COUNT_AHEAD_TO, HOLDERS_SHOWN, waitsFor } from '../../sql/waiting.ts'
import type { Database } from './database.ts'
import { Transaction } from './transaction.ts'

/** The facts from which it can be told why a pending job waits. */
export function waitingFacts(db: Database, job: Job, now: Instant): WaitingFacts {
  const [stage, queueId] = db.row<[Stage, number]>('SELECT stage, queue_id FROM octoflow_requests WHERE id = ?', job.id)!
  const transaction = new Transaction(db)
  const queue = transaction.queueById(queueId)
  const { paused, concurrency, keyConcurrency } = queue.settings
  const key = job.concurrencyKey
  const { lanes } = transaction
  const waitsAs = waitsFor(stage, job, now, () => key === null || lanes.hasRoom(lanes.get(queue, key), now))
  const ahead =
    waitsAs === 'held'
      ? db.row<[number]>(COUNT_AHEAD_OF_KEY, queueId, job.priority, job.id, COUNT_AHEAD_TO, key)
      : db.row<[number]>(COUNT_AHEAD, queueId, job.priority, job.id, COUNT_AHEAD_TO)
  return {
    job,
    stage: waitsAs,
    ahead: ahead![0],
    queue: {
      paused,
      concurrency,
      running: queue.counts[Stage.running]!,
      rateNextAt: lanes.queueRate(queue, now).nextAt,
    },
    key:
      key === null
        ? null
        : {
            limit: keyConcurrency,
            holders: db.all<{ id: number; worker: string | null }>(SELECT_HOLDERS, queueId, key, HOLDERS_SHOWN),
            running: lanes.get(queue, key).running,
            rateNextAt: lanes.keyRate(queue, key, now).nextAt,
          },
  }
}

// Ready jobs of a better priority, and older ones of the same. Two ranges of one index, counted no further than needed.
const COUNT_AHEAD = `SELECT count(*) FROM (
  SELECT 1 FROM octoflow_requests
  WHERE queue_id = ?1 AND stage = 0 AND stage < 3 AND (priority, id) < (?2, ?3) LIMIT ?4)`

const COUNT_AHEAD_OF_KEY = `SELECT count(*) FROM (${[Stage.ready, Stage.held]
  .map(
    (stage) => `SELECT 1 FROM octoflow_requests WHERE queue_id = ?1 AND concurrency_key = ?5 AND stage = ${stage} AND stage <= 3
      AND (priority, id) < (?2, ?3)`,
  )
  .join(' UNION ALL ')} LIMIT ?4)`

const SELECT_HOLDERS = `SELECT id, worker FROM octoflow_requests
  WHERE queue_id = ? AND concurrency_key = ? AND stage = 3 AND stage <= 3 ORDER BY id LIMIT ?`
