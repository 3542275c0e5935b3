import { Service } from '../../lib/service.ts'
import { type Duration, MINUTE, SECOND } from '../../lib/time.ts'
import type { Feed } from '../feed.ts'
import type { Operations } from '../jobs/operations.ts'
import type { Leadership } from '../leadership/leadership.ts'
import type { LogEventRetention } from '../log-events/retention.ts'
import type { Ports } from '../ports.ts'
import { Chore } from './chore.ts'

/** Work in batches of this size: none keeps the database busy for more than some milliseconds. */
const BATCH = 200

/** Nothing hangs on a log event, so more of them are deleted in the same time. */
const LOG_EVENTS = 1_000

const PRUNE_EVERY = MINUTE

/** Operations are begun at once where they are asked for; those that another server was asked for are found by looking. */
const OPERATE_EVERY = { alone: MINUTE, shared: 2 * SECOND } as const

/** What the leader does beside the calls of others: deletes what has outlived its retention, and carries out operations. */
export class Maintenance extends Service {
  readonly #ports: Ports
  readonly #leadership: Leadership
  readonly #feed: Feed
  readonly #retention: Duration | null
  readonly #chores: readonly Chore[]
  /** The one that had its turn last. */
  #lastOperation = 0

  constructor(
    ports: Ports,
    parts: {
      readonly leadership: Leadership
      readonly operations: Operations
      readonly feed: Feed
      readonly logEventRetention: LogEventRetention
    },
    retention: Duration | null,
  ) {
    super()
    this.#ports = ports
    this.#leadership = parts.leadership
    this.#feed = parts.feed
    this.#retention = retention
    const { shared } = ports.storage.capabilities
    const operate = new Chore(ports, 'operations', OPERATE_EVERY[shared ? 'shared' : 'alone'], () => this.#operate())
    this.#chores = [
      new Chore(ports, 'prune', PRUNE_EVERY, () => this.#prune()),
      new Chore(ports, 'prune log events', PRUNE_EVERY, () => parts.logEventRetention.prune()),
      operate,
    ]
    parts.operations.onStarted(() => operate.now())
    parts.leadership.subscribe({ onTerm: () => this.#begin(), onTermEnd: () => this.#end() })
  }

  protected override onStart(): void {
    if (this.#leadership.leader) this.#begin()
  }

  protected override async onStop(): Promise<void> {
    await this.#end()
  }

  #begin(): void {
    for (const chore of this.#chores) chore.start()
  }

  async #end(): Promise<void> {
    await Promise.all(this.#chores.map((chore) => chore.stop()))
  }

  async #prune(): Promise<boolean> {
    const now = this.#ports.clock.now()
    const { deleted, more } = await this.#ports.storage.upkeep.prune({ now, retention: this.#retention, limit: BATCH })
    if (deleted > 0) this.#ports.logger.debug({ deleted }, 'deleted what has outlived its retention')
    return more
  }

  /** Operations take turns, batch by batch, so that a small one need not wait until a huge one is through. */
  async #operate(): Promise<boolean> {
    const unfinished = await this.#ports.storage.operations.unfinished()
    const operation = unfinished.find(({ id }) => id > this.#lastOperation) ?? unfinished[0]
    if (operation === undefined) return false
    this.#lastOperation = operation.id
    const note = `${NOTES[operation.action]} by ${operation.createdBy} (operation ${operation.id})`
    const now = this.#ports.clock.now()
    const limit = operation.action === 'delete_log_events' ? LOG_EVENTS : BATCH
    const { moved } = await this.#ports.storage.operations.step({ now, id: operation.id, limit, note })
    this.#feed.publish(moved)
    return true
  }
}

const NOTES = { retry: 'Run again', cancel: 'Cancel requested', delete: 'Deleted', delete_log_events: 'Deleted' } as const
