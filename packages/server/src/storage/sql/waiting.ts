import type { Instant } from '../../lib/time.ts'
import type { Job } from '../../model/job.ts'
import type { WaitingFacts } from '../contract/jobs.ts'
import type { JobTransaction } from './job-transaction.ts'
import { IDLE } from './room.ts'
import { Stage } from './stages.ts'

/** How far the jobs are counted that go before another. */
export const COUNT_AHEAD_TO = 1_000

export const HOLDERS_SHOWN = 10

/** How a driver looks at what a job waits for. */
export interface WaitingStatements<In> {
  /** `null` if the job is not pending. */
  stageOf(transaction: In, id: number): Promise<readonly [stage: Stage, queueId: number] | null>
  runningIn(transaction: In, queueId: number): Promise<number>
  /**
   * Jobs of a better priority, and older ones of the same, up to `COUNT_AHEAD_TO`: the ready ones of the queue, or all of a key
   * that start before it, whether they may at once or not.
   */
  countAhead(transaction: In, queueId: number, job: Job, key: string | null): Promise<number>
  /** Running jobs of a key, at most `HOLDERS_SHOWN`. */
  holders(transaction: In, queueId: number, key: string): Promise<readonly (readonly [id: number, worker: string | null])[]>
}

/** What is to be known of a pending job to tell why it waits. */
export async function waitingFacts<In extends JobTransaction>(
  transaction: In,
  statements: WaitingStatements<In>,
  job: Job,
  now: Instant,
): Promise<WaitingFacts | null> {
  const key = job.concurrencyKey
  const { lanes } = transaction
  const row = await statements.stageOf(transaction, job.id)
  if (row === null) return null
  const [stage, queueId] = row
  const { paused, concurrency, keyConcurrency } = (await transaction.settings([queueId])).get(queueId)!
  await lanes.rates.readQueue(queueId, now)
  const queue = {
    paused,
    concurrency,
    running: await statements.runningIn(transaction, queueId),
    rateNextAt: lanes.rates.ofQueue(queueId, now).nextAt,
  }
  if (key === null) {
    const ahead = await statements.countAhead(transaction, queueId, job, null)
    return { job, stage: waitsFor(stage, job, now, () => true), ahead, queue, key: null }
  }
  const lane = lanes.get(queueId, key)
  const { running, ready } = (await lanes.peek([lane])).get(lane) ?? IDLE
  await lanes.rates.read([lane], now)
  const rate = lanes.rates.ofKey(queueId, key, now)
  const holders = await statements.holders(transaction, queueId, key)
  const waitsAs = waitsFor(stage, job, now, () => Math.min(keyConcurrency - running, rate.free) > ready)
  return {
    job,
    stage: waitsAs,
    ahead: await statements.countAhead(transaction, queueId, job, waitsAs === 'held' ? key : null),
    queue,
    key: {
      limit: keyConcurrency,
      holders: holders.map(([id, worker]) => ({ id, worker })),
      running,
      rateNextAt: rate.nextAt,
    },
  }
}

/** Jobs that are due are moved on by the next claim; until then their stage in the table is that of before. */
export function waitsFor(stage: Stage, job: Job, now: Instant, hasRoom: () => boolean): WaitingFacts['stage'] {
  if (stage === Stage.held) return 'held'
  if (stage === Stage.ready) return 'ready'
  if (job.runAt > now) return 'scheduled'
  return hasRoom() ? 'ready' : 'held'
}
