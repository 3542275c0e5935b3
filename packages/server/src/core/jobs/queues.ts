import { OctoflowError } from '../../errors/octoflow-error.ts'
import { inScope, type Principal, type QueueScope } from '../../model/access.ts'
import type { Queue, QueueSettings } from '../../model/queue.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import type { Roster } from '../engine/roster.ts'
import { everyItem, pageOf } from '../paging.ts'
import type { Ports } from '../ports.ts'

/** A queue and how many workers serve it. */
export interface ServedQueue {
  readonly queue: Queue
  readonly workers: number
}

export type QueueListener = (queue: Queue) => void

/** Queues and their settings. */
export class Queues {
  readonly #ports: Ports
  readonly #roster: Roster
  readonly #listeners = new Set<QueueListener>()

  constructor(ports: Ports, roster: Roster) {
    this.#ports = ports
    this.#roster = roster
  }

  /** In order of name. */
  async list(page: PageRequest<string>, scope: QueueScope): Promise<Page<ServedQueue, string>> {
    const { items, next } = await this.#page(page, scope)
    const workers = await this.#roster.workersByQueue()
    return { items: items.map((queue) => ({ queue, workers: workers.get(queue.name) ?? 0 })), next }
  }

  /** All of them that come after a name, in order of name. */
  async *all(scope: QueueScope, after: string | null = null): AsyncGenerator<ServedQueue, void, void> {
    const workers = await this.#roster.workersByQueue()
    for await (const queue of everyItem((page) => this.#page(page, scope), after))
      yield { queue, workers: workers.get(queue.name) ?? 0 }
  }

  /** Those of these names that exist. */
  async some(names: readonly string[], scope: QueueScope): Promise<readonly ServedQueue[]> {
    const found = await this.#ports.storage.queues.find({ names: names.filter((name) => inScope(scope, name)) })
    return Promise.all(found.map((queue) => this.#served(queue)))
  }

  /** @throws `queue_not_found` */
  async find(name: string, scope: QueueScope): Promise<ServedQueue> {
    const [served] = await this.some([name], scope)
    if (served === undefined) throw new OctoflowError('queue_not_found', { queue: name })
    return served
  }

  /** @throws `queue_out_of_scope`, `precondition_failed` */
  async configure(name: string, change: Partial<QueueSettings>, ifVersion: number | null, by: Principal): Promise<ServedQueue> {
    if (!inScope(by.queues, name)) throw new OctoflowError('queue_out_of_scope', { queue: name })
    const now = this.#ports.clock.now()
    const queue = await this.#ports.storage.queues.configure({ now, name, change, ifVersion })
    this.#ports.logger.info({ queue: name, change, by: by.name }, 'queue configured')
    for (const listener of this.#listeners) listener(queue)
    return this.#served(queue)
  }

  /** Tells of changed settings. @returns ends the subscription. */
  onConfigured(listener: QueueListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #page(page: PageRequest<string>, scope: QueueScope): Promise<Page<Queue, string>> {
    const { queues } = this.#ports.storage
    if (scope === null) return queues.list({ page })
    return pageOf(await queues.find({ names: scope }), ({ name }) => name, page)
  }

  async #served(queue: Queue): Promise<ServedQueue> {
    const { working } = await this.#roster.workersOf(queue.name)
    return { queue, workers: working }
  }
}
