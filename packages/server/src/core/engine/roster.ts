import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { CancelTimer } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { type Instant, SECOND } from '../../lib/time.ts'
import { inScope, type Principal, type QueueScope } from '../../model/access.ts'
import { isAlive, WORKER_GONE_AFTER, type WorkerInfo } from '../../model/worker.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import { pageOf } from '../paging.ts'
import type { Ports } from '../ports.ts'

interface Known {
  readonly id: string
  readonly queues: Set<string>
  firstSeenAt: Instant
  lastSeenAt: Instant
  draining: boolean
  agent: string | null
  /** Not yet told to the storage. */
  dirty: boolean
}

const FLUSH_EVERY = 5 * SECOND

/** Of the queues that a worker asks for so many are noted, so that none can fill the memory with names. */
const QUEUES_NOTED = 1_000

/** Of the living workers of a queue, how many take jobs, and how many are asked to take no more. */
export interface Serving {
  readonly working: number
  readonly draining: number
}

/**
 * Who works, as far as their calls tell. Kept in memory, since it is touched by every call of every worker, and written
 * down every few seconds for other servers and for after a restart.
 */
export class Roster extends Service {
  readonly #ports: Ports
  readonly #known = new Map<string, Known>()
  #cancelTimer: CancelTimer = () => {}

  constructor(ports: Ports) {
    super()
    this.#ports = ports
  }

  /** Notes that a worker was heard of. @returns whether it is asked to take no more jobs. */
  seen(id: string, queue: string | null, agent: string | null = null): boolean {
    const now = this.#ports.clock.now()
    let worker = this.#known.get(id)
    if (worker === undefined) {
      worker = { id, queues: new Set(), firstSeenAt: now, lastSeenAt: now, draining: false, agent, dirty: true }
      this.#known.set(id, worker)
    }
    worker.lastSeenAt = now
    worker.agent ??= agent
    worker.dirty = true
    if (queue !== null && worker.queues.size < QUEUES_NOTED) worker.queues.add(queue)
    return worker.draining
  }

  isDraining(id: string): boolean {
    return this.#known.get(id)?.draining ?? false
  }

  /** How many living workers that take jobs serve each queue. */
  async workersByQueue(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    for (const worker of await this.#all()) {
      if (worker.draining || !this.isAlive(worker)) continue
      for (const queue of worker.queues) counts.set(queue, (counts.get(queue) ?? 0) + 1)
    }
    return counts
  }

  async workersOf(queue: string): Promise<Serving> {
    const serving = (await this.#all()).filter((worker) => worker.queues.includes(queue) && this.isAlive(worker))
    const draining = serving.filter((worker) => worker.draining).length
    return { working: serving.length - draining, draining }
  }

  /** Those that serve a queue of the scope, with no other queues than its, in order of id. */
  async list(page: PageRequest<string>, scope: QueueScope): Promise<Page<WorkerInfo, string>> {
    const workers = await this.#all()
    const seen =
      scope === null
        ? workers
        : workers
            .map((worker) => ({ ...worker, queues: worker.queues.filter((queue) => inScope(scope, queue)) }))
            .filter(({ queues }) => queues.length > 0)
    return pageOf(seen, ({ id }) => id, page)
  }

  async #all(): Promise<readonly WorkerInfo[]> {
    const now = this.#ports.clock.now()
    const stored = this.#ports.storage.capabilities.shared
      ? await this.#ports.storage.workers.list({ since: now - WORKER_GONE_AFTER })
      : []
    const merged = new Map(stored.map((worker) => [worker.id, worker]))
    for (const worker of this.#known.values()) merged.set(worker.id, toInfo(worker))
    return [...merged.values()]
  }

  isAlive(worker: WorkerInfo): boolean {
    return isAlive(worker, this.#ports.clock.now())
  }

  /** @throws `worker_not_found`, and `queue_out_of_scope` for a worker that serves others' queues too */
  async setDraining(id: string, draining: boolean, by: Principal): Promise<void> {
    await this.#flush()
    await this.#checkScope(id, by.queues)
    const stored = await this.#ports.storage.workers.setDraining({ id, draining })
    const worker = this.#known.get(id)
    if (!stored && worker === undefined) throw new OctoflowError('worker_not_found', { worker: id })
    if (worker !== undefined) worker.draining = draining
  }

  async #checkScope(id: string, scope: QueueScope): Promise<void> {
    if (scope === null) return
    const { queues = [] } = (await this.#all()).find((worker) => worker.id === id) ?? {}
    if (!queues.some((queue) => inScope(scope, queue))) throw new OctoflowError('worker_not_found', { worker: id })
    const other = queues.find((queue) => !inScope(scope, queue))
    if (other !== undefined) throw new OctoflowError('queue_out_of_scope', { queue: other })
  }

  protected override async onStart(): Promise<void> {
    const since = this.#ports.clock.now() - WORKER_GONE_AFTER
    for (const { queues, ...worker } of await this.#ports.storage.workers.list({ since }))
      this.#known.set(worker.id, { ...worker, queues: new Set(queues), dirty: false })
    this.#schedule()
  }

  protected override async onStop(): Promise<void> {
    this.#cancelTimer()
    await this.#flush().catch((error) => this.#ports.logger.warn({ err: error }, 'workers seen lately were not written down'))
  }

  #schedule(): void {
    this.#cancelTimer = this.#ports.clock.after(FLUSH_EVERY, () => {
      this.#flush()
        .catch((error) => {
          const { logger, outage } = this.#ports
          if (!outage.explains(error)) logger.warn({ err: error }, 'workers seen lately were not written down')
        })
        .finally(() => {
          if (this.running) this.#schedule()
        })
    })
  }

  async #flush(): Promise<void> {
    const changed = [...this.#known.values()].filter((worker) => worker.dirty)
    if (changed.length > 0) {
      for (const worker of changed) worker.dirty = false
      const workers = changed.map(({ id, lastSeenAt, queues, agent }) => ({ id, at: lastSeenAt, queues: [...queues], agent }))
      await this.#ports.storage.workers.seen({ workers })
    }
    await this.#learn()
    this.#forgetGone()
  }

  /** Takes over what was said to other servers: who is to drain. */
  async #learn(): Promise<void> {
    if (!this.#ports.storage.capabilities.shared) return
    for (const stored of await this.#ports.storage.workers.list({ since: this.#ports.clock.now() - WORKER_GONE_AFTER })) {
      const worker = this.#known.get(stored.id)
      if (worker !== undefined) worker.draining = stored.draining
    }
  }

  #forgetGone(): void {
    const now = this.#ports.clock.now()
    for (const worker of this.#known.values()) if (!worker.dirty && !isAlive(worker, now)) this.#known.delete(worker.id)
  }
}

const toInfo = ({ dirty: _, queues, ...worker }: Known): WorkerInfo => ({ ...worker, queues: [...queues].sort() })
