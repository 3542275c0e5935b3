import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Queue, QueueSettings } from '../../../model/queue.ts'
import type { Page } from '../../contract/page.ts'
import type { QueueStore } from '../../contract/queues.ts'
import { pageBy, pageQuery } from '../../sql/paging.ts'
import { Stage } from '../../sql/stages.ts'
import type { Database, Value } from './database.ts'
import { queuesOf } from './listing.ts'
import { type QueueRecord, QueueRow, SELECT_QUEUE } from './transaction.ts'
import type { Writer } from './writer.ts'

export class SqliteQueues implements QueueStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  async list({ page }: Parameters<QueueStore['list']>[0]): Promise<Page<Queue, string>> {
    const { where, order, after, limit } = pageQuery(page, 'name')
    const records = this.#db.rows<QueueRecord>(`${SELECT_QUEUE} WHERE ${where} ${order} LIMIT ?`, after, limit)
    const queues = records.map((record) => toQueue(new QueueRow(record)))
    return pageBy(queues, page, ({ name }) => name)
  }

  async find({ names }: Parameters<QueueStore['find']>[0]): Promise<readonly Queue[]> {
    return queuesOf(this.#db, names).map(toQueue)
  }

  configure({ now, name, change, ifVersion }: Parameters<QueueStore['configure']>[0]): Promise<Queue> {
    return this.#writer.write((transaction) => {
      if (ifVersion !== null && transaction.findQueue(name)?.version !== ifVersion)
        throw new OctoflowError('precondition_failed')
      const queue = transaction.queue(name, now)
      Object.assign(queue.settings, change)
      queue.version++
      transaction.db.run(UPDATE_SETTINGS, ...settingsValues(queue.settings), queue.version, queue.id)
      transaction.lanes.reviewAll(queue)
      // Whatever changed may let jobs start; the workers that wait find out by trying.
      if (!queue.settings.paused) {
        queue.becameReady += queue.counts[Stage.ready]! + queue.counts[Stage.held]!
        queue.nextTimeMoved = queue.counts[Stage.scheduled]! > 0
      }
      return toQueue(queue)
    })
  }
}

export function settingsValues(settings: QueueSettings): Value[] {
  const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value))
  return [
    settings.paused ? 1 : 0,
    settings.concurrency,
    settings.keyConcurrency,
    json(settings.rateLimit),
    json(settings.keyRateLimit),
    settings.maxAttempts,
    json(settings.backoff),
    settings.retention,
    settings.handler,
  ]
}

function toQueue({ name, createdAt, version, settings, counts }: QueueRow): Queue {
  const [ready = 0, scheduled = 0, held = 0, running = 0, completed = 0, cancelled = 0, dead = 0] = counts
  const pending = ready + scheduled + held
  return {
    name,
    createdAt,
    version,
    ...settings,
    counts: { ready, scheduled, held, pending, running, completed, cancelled, dead },
  }
}

const UPDATE_SETTINGS = `UPDATE octoflow_queues SET paused = ?, concurrency = ?, key_concurrency = ?, rate_limit = ?,
  key_rate_limit = ?, max_attempts = ?, backoff = ?, retention = ?, handler = ?, version = ? WHERE id = ?`
