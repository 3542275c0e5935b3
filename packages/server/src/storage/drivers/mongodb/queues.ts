import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Queue } from '../../../model/queue.ts'
import type { Page } from '../../contract/page.ts'
import type { QueueStore } from '../../contract/queues.ts'
import { Stage } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import { pageOf, pageQuery } from './paging.ts'
import { QueueState } from './queue-state.ts'
import type { Writer } from './writer.ts'

export class MongoQueues implements QueueStore {
  readonly #connection: Connection
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#connection = connection
    this.#writer = writer
  }

  async list({ page }: Parameters<QueueStore['list']>[0]): Promise<Page<Queue, string>> {
    const { items, next } = pageOf(await this.#connection.find('queues', pageQuery(page, {})), page)
    return { items: items.map((document) => toQueue(new QueueState(document))), next }
  }

  async find({ names }: Parameters<QueueStore['find']>[0]): Promise<readonly Queue[]> {
    const found = new Map((await this.#connection.findByIds('queues', [...new Set(names)])).map((queue) => [queue._id, queue]))
    return names.flatMap((name) => found.get(name) ?? []).map((document) => toQueue(new QueueState(document)))
  }

  configure({ now, name, change, ifVersion }: Parameters<QueueStore['configure']>[0]): Promise<Queue> {
    return this.#writer.write(async (transaction) => {
      if (ifVersion !== null && (await transaction.findQueue(name))?.version !== ifVersion)
        throw new OctoflowError('precondition_failed')
      const queue = await transaction.queue(name, now)
      queue.settings = { ...queue.settings, ...change }
      queue.version++
      queue.changed = true
      await transaction.lanes.wakeAll(queue)
      // Whatever changed may let jobs start; the workers that wait find out by trying.
      if (!queue.settings.paused) {
        queue.becameReady += queue.counts[Stage.ready]! + queue.counts[Stage.held]!
        queue.nextTimeMoved = queue.counts[Stage.scheduled]! > 0
      }
      return toQueue(queue)
    })
  }
}

function toQueue({ name, createdAt, version, settings, counts }: QueueState): Queue {
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
