import type { Instant } from '../../../lib/time.ts'
import type { WaitingFacts } from '../../contract/jobs.ts'
import { Stage } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import type { JobDocument } from './documents.ts'
import { toJob } from './job-documents.ts'
import { BEGINNING } from './journal.ts'
import type { QueueState } from './queue-state.ts'
import { Tables } from './tables.ts'
import { Transaction } from './transaction.ts'

const COUNT_AHEAD_TO = 1_000
const HOLDERS_SHOWN = 10

/** The facts about a pending job, as a transaction would see them that is never committed. */
export async function waitingFacts(connection: Connection, job: JobDocument, now: Instant): Promise<WaitingFacts> {
  const transaction = new Transaction(connection, new Tables(connection), BEGINNING.sequences)
  const queue = await transaction.queueOf(job)
  const { paused, concurrency } = queue.settings
  const key = job.concurrencyKey
  const stage = await waitsFor(transaction, queue, job, now)
  return {
    job: toJob(job),
    stage,
    ahead: await countAhead(connection, job, stage === 'held'),
    queue: {
      paused,
      concurrency,
      running: queue.counts[Stage.running]!,
      rateNextAt: transaction.lanes.queueRate(queue, now).nextAt,
    },
    key: key === undefined ? null : await keyFacts(transaction, queue, key, now),
  }
}

async function keyFacts(
  transaction: Transaction,
  queue: QueueState,
  concurrencyKey: string,
  now: Instant,
): Promise<WaitingFacts['key']> {
  const lane = await transaction.lanes.get(queue, concurrencyKey)
  const holders = await transaction.connection.find('requests', {
    filter: { queue: queue.name, concurrencyKey, stage: Stage.running },
    sort: { _id: 1 },
    limit: HOLDERS_SHOWN,
    projection: { worker: 1 },
  })
  return {
    limit: queue.settings.keyConcurrency,
    holders: holders.map(({ _id, worker }) => ({ id: _id, worker: worker ?? null })),
    running: lane.running,
    rateNextAt: transaction.lanes.keyRate(lane, now).nextAt,
  }
}

/**
 * Of a better priority, and older ones of the same: two ranges of one index for each stage, counted no further than needed.
 * Before a held job go the others of its key, before any other the ready ones of its queue.
 */
async function countAhead(
  connection: Connection,
  { _id, queue, priority, concurrencyKey }: JobDocument,
  isHeld: boolean,
): Promise<number> {
  const query = { sort: { priority: 1, _id: 1 }, limit: COUNT_AHEAD_TO, projection: { _id: 1 } } as const
  let ahead = 0
  for (const stage of isHeld ? [Stage.ready, Stage.held] : [Stage.ready])
    for (const before of [{ priority: { $lt: priority } }, { priority, _id: { $lt: _id } }]) {
      const filter = { queue, ...(isHeld && { concurrencyKey }), stage, ...before }
      ahead += (await connection.find('requests', { ...query, filter })).length
    }
  return Math.min(COUNT_AHEAD_TO, ahead)
}

/** Jobs that are due are moved on by the next claim; until then their stage in the database is that of before. */
async function waitsFor(
  { lanes }: Transaction,
  queue: QueueState,
  job: JobDocument,
  now: Instant,
): Promise<WaitingFacts['stage']> {
  if (job.stage === Stage.held) return 'held'
  if (job.stage === Stage.ready) return 'ready'
  if (job.runAt > now) return 'scheduled'
  const key = job.concurrencyKey
  return key === undefined || lanes.hasRoom(await lanes.get(queue, key), now) ? 'ready' : 'held'
}
