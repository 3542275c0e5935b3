import type { Document } from 'mongodb'
import { DAY, type Duration, HOUR, type Instant, MILLISECOND, MINUTE } from '../../../lib/time.ts'
import { HOURS_KEPT, MINUTES_KEPT } from '../../contract/stats.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import { Stage } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import type { RequestDocument } from './documents.ts'
import { deleteRequest } from './job-documents.ts'
import { firstIdAt } from './listing.ts'
import type { Table } from './table.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

/** How long sightings of workers are kept. */
const WORKERS_KEPT = 30 * DAY
/** How long an unused concurrency key is kept, at the least. */
const LANES_KEPT = HOUR
/** How long it is remembered that a document was deleted: no server that was stopped half-way wakes up later than that. */
const DELETED_KEPT = DAY

/** More queues than these are not looked at by one call. */
const QUEUES_AT_ONCE = 100

/** The one document that tells where a round has stopped. */
const SWEEP = 'sweep'

export class MongoUpkeep implements UpkeepStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  async prune({ now, retention, limit }: Parameters<UpkeepStore['prune']>[0]): Promise<{ deleted: number; more: boolean }> {
    const pruned = await this.#writer.write(async (transaction) => {
      const { deleted, more } = await sweep(transaction, retention, limit, now)
      const rest = await pruneSideTables(transaction, now, limit)
      await transaction.lanes.balance(now)
      return { deleted, more: more || rest }
    })
    await this.#forgetDeleted(now)
    return pruned
  }

  async check(): Promise<void> {
    // Writes for real, so that a full disk or a database that may only be read is found out.
    await this.#connection.run(async () =>
      (await this.#connection.collection('checks')).updateOne(
        { _id: 'check' } as Document,
        { $inc: { count: 1 } },
        { upsert: true },
      ),
    )
  }

  async time(): Promise<Instant> {
    const { localTime } = await this.#connection.run((db) => db.command({ hello: 1 }))
    return Number(localTime) * MILLISECOND
  }

  async size(): Promise<StorageSize> {
    const { dataSize, storageSize, indexSize } = await this.#connection.run((db) => db.stats())
    // What was written last may not be in the files yet.
    return { bytes: Math.max(Number(dataSize), Number(storageSize)) + Number(indexSize), logBytes: 0 }
  }

  /** Beside the writer: what is removed here means nothing to anybody. */
  async #forgetDeleted(now: Instant): Promise<void> {
    for (const name of ['requests', 'lanes', 'keys', 'logEvents', 'logEventCounts'] as const)
      await this.#connection.run(async () =>
        (await this.#connection.collection(name)).deleteMany({ deletedAt: { $lt: now - DELETED_KEPT } }),
      )
  }
}

/** The finished jobs of one queue, or the requests without a job, that have outlived their retention. */
interface Sweep {
  /** `null` for requests that made no job. */
  readonly queue: string | null
  readonly kept: Duration
}

const FINISHED: readonly Stage[] = [Stage.completed, Stage.cancelled, Stage.dead]

/**
 * Goes on from where the last sweep stopped: through the requests without a job and then the queues in order of name, and in
 * each through the candidates in order of id. A round is over when it has come to the end of the last queue.
 *
 * Only what came before `before` can have outlived it, so the way through a queue ends there and does not lead through the
 * many that are kept; what it does step over is old work that finished lately.
 */
async function sweep(
  transaction: Transaction,
  retention: Duration | null,
  limit: number,
  now: Instant,
): Promise<{ readonly deleted: number; readonly more: boolean }> {
  const { requests, sweeps } = transaction.tables
  const stopped = await sweeps.get(SWEEP)
  const stoppedIn = stopped?.queue ?? null
  const stopAt = (queue: string | null, position: number): { deleted: number; more: true } => {
    sweeps.put({ _id: SWEEP, ...(queue !== null && { queue }), position })
    return { deleted, more: true }
  }
  const firstIds = new Map<Instant, number>()
  let deleted = 0
  let left = limit
  const { sweeps: due, beyond } = await sweepsFrom(transaction, stoppedIn, retention)
  for (const { queue, kept } of due) {
    const position = queue === stoppedIn ? (stopped?.position ?? 0) : 0
    const before = now - kept
    const upto = firstIds.get(before) ?? (await firstIdAt(transaction.connection, before))
    firstIds.set(before, upto)
    const candidates = await outlived(requests, queue, position, upto, left)
    for (const { _id, finishedAt, receivedAt } of candidates) {
      const at = queue === null ? receivedAt : finishedAt!
      if (at < before && (await deleteRequest(transaction, _id, now))) deleted++
    }
    left -= candidates.length
    if (left === 0) return stopAt(queue, candidates.at(-1)?._id ?? position)
  }
  if (beyond !== null) return stopAt(beyond, 0)
  sweeps.erase(SWEEP)
  return { deleted, more: false }
}

/** The next places in which something may have outlived its retention, and the queue to go on with. */
async function sweepsFrom(
  { tables }: Transaction,
  first: string | null,
  retention: Duration | null,
): Promise<{ readonly sweeps: readonly Sweep[]; readonly beyond: string | null }> {
  const queues = await tables.queues.find({
    filter: first === null ? {} : { _id: { $gte: first } },
    matches: ({ _id }) => first === null || compareNames(_id, first) >= 0,
    sort: { _id: 1 },
    compare: (a, b) => compareNames(a._id, b._id),
    limit: QUEUES_AT_ONCE + 1,
  })
  const ofQueues = queues.slice(0, QUEUES_AT_ONCE).flatMap(({ _id: queue, settings, counts }): Sweep[] => {
    const kept = settings.retention ?? retention
    const isEmpty = FINISHED.every((stage) => counts[stage] === 0)
    return kept === null || isEmpty ? [] : [{ queue, kept }]
  })
  const withoutJob: Sweep[] = first === null && retention !== null ? [{ queue: null, kept: retention }] : []
  return { sweeps: [...withoutJob, ...ofQueues], beyond: queues[QUEUES_AT_ONCE]?._id ?? null }
}

/** In order of code points, as the database has it. */
const compareNames = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

function outlived(
  requests: Table<'requests'>,
  queue: string | null,
  position: number,
  upto: number,
  limit: number,
): Promise<RequestDocument[]> {
  const range = { _id: { $gt: position, ...(upto !== Number.POSITIVE_INFINITY && { $lt: upto }) } }
  const isFinished = (stage: Stage | undefined): boolean => stage !== undefined && FINISHED.includes(stage)
  return requests.find({
    filter:
      queue === null
        ? { ...range, stage: { $exists: false }, receivedAt: { $exists: true } }
        : { ...range, queue, stage: { $in: FINISHED } },
    matches: (request) =>
      request._id > position &&
      request._id < upto &&
      (queue === null ? request.stage === undefined : request.queue === queue && isFinished(request.stage)),
    sort: { _id: 1 },
    compare: (a, b) => a._id - b._id,
    limit,
  })
}

/** @returns whether there may be more to delete. */
async function pruneSideTables({ connection, tables }: Transaction, now: Instant, limit: number): Promise<boolean> {
  const find = async (name: 'idempotency' | 'workers' | 'stats' | 'lanes', filter: Document): Promise<string[]> => {
    const ids = (await connection.find(name, { filter, limit, projection: { _id: 1 } })).map(({ _id }) => _id)
    await tables[name].load(ids)
    return ids
  }
  const expired = await find('idempotency', { expiresAt: { $lte: now } })
  for (const id of expired) if ((await tables.idempotency.get(id))!.expiresAt <= now) tables.idempotency.erase(id)
  const gone = await find('workers', { lastSeenAt: { $lt: now - WORKERS_KEPT } })
  for (const id of gone) if ((await tables.workers.get(id))!.lastSeenAt < now - WORKERS_KEPT) tables.workers.erase(id)
  const ago = (kept: Duration): number => Math.floor((now - kept) / MINUTE)
  const minutes = await find('stats', { span: 1, start: { $lt: ago(MINUTES_KEPT) } })
  const hours = await find('stats', { span: 60, start: { $lt: ago(HOURS_KEPT) } })
  for (const id of [...minutes, ...hours]) tables.stats.erase(id)
  const idleBefore = now - Math.max(LANES_KEPT, 2 * (await longestRatePeriod(connection)))
  const idle = await find('lanes', { idleAt: { $lt: idleBefore } })
  for (const id of idle) {
    const lane = await tables.lanes.get(id)
    if (lane?.idleAt !== undefined && lane.idleAt < idleBefore) tables.lanes.delete(id, now)
  }
  return [expired, gone, minutes, hours, idle].some(({ length }) => length === limit)
}

async function longestRatePeriod(connection: Connection): Promise<Duration> {
  const limited = ['settings.rateLimit.period', 'settings.keyRateLimit.period'].map((field) => ({ [field]: { $exists: true } }))
  const queues = await connection.find('queues', { filter: { $or: limited }, projection: { settings: 1 } })
  const periods = queues.flatMap(({ settings: { rateLimit, keyRateLimit } }) => [
    rateLimit?.period ?? 0,
    keyRateLimit?.period ?? 0,
  ])
  return Math.max(0, ...periods)
}
