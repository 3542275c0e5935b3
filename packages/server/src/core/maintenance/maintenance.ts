import type { CancelTimer } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { type Duration, MINUTE, SECOND } from '../../lib/time.ts'
import type { Feed } from '../feed.ts'
import type { Operations } from '../jobs/operations.ts'
import type { Leadership } from '../leadership/leadership.ts'
import type { Ports } from '../ports.ts'

/** Work in batches of this size: none keeps the database busy for more than some milliseconds. */
const BATCH = 200

const RESCUE_EVERY = SECOND
const PRUNE_EVERY = MINUTE

/**
 * For so long after a server took over, no lease ends: while it was down, workers could not send heartbeats. It is the
 * longest a worker of the SDK waits before it tries to reach a server again, and some.
 */
const GRACE: Duration = 12 * SECOND

/**
 * What the leader does beside the calls of others: takes back the jobs of vanished workers, deletes what has outlived its
 * retention, and carries out operations.
 */
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
    parts: { readonly leadership: Leadership; readonly operations: Operations; readonly feed: Feed },
    retention: Duration | null,
  ) {
    super()
    this.#ports = ports
    this.#leadership = parts.leadership
    this.#feed = parts.feed
    this.#retention = retention
    const operate = new Chore(ports, 'operations', MINUTE, () => this.#operate())
    this.#chores = [
      new Chore(ports, 'rescue', RESCUE_EVERY, () => this.#rescue()),
      new Chore(ports, 'prune', PRUNE_EVERY, () => this.#prune()),
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
    const { storage, clock, logger } = this.#ports
    storage.leases
      .grace({ until: clock.now() + GRACE })
      .catch((error) => logger.warn({ err: error }, 'leases could not be extended after the start'))
    for (const chore of this.#chores) chore.start()
  }

  async #end(): Promise<void> {
    await Promise.all(this.#chores.map((chore) => chore.stop()))
  }

  async #rescue(): Promise<boolean> {
    const rescued = await this.#ports.storage.leases.rescue({ now: this.#ports.clock.now(), limit: BATCH })
    if (rescued.length > 0) this.#ports.logger.warn({ jobs: rescued.length }, 'took back jobs whose lease ran out')
    this.#feed.publish(rescued)
    return rescued.length === BATCH
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
    const { moved } = await this.#ports.storage.operations.step({ now, id: operation.id, limit: BATCH, note })
    this.#feed.publish(moved)
    return true
  }
}

const NOTES = { retry: 'Run again', cancel: 'Cancel requested', delete: 'Deleted' } as const

/** Something done again and again while this server leads: at once while there is more to do, else after a pause. */
class Chore {
  readonly #ports: Ports
  readonly #name: string
  readonly #every: Duration
  /** @returns whether there is more to do at once. */
  readonly #batch: () => Promise<boolean>
  #active = false
  #round: Promise<void> = Promise.resolve()
  #cancelTimer: CancelTimer = () => {}

  constructor(ports: Ports, name: string, every: Duration, batch: () => Promise<boolean>) {
    this.#ports = ports
    this.#name = name
    this.#every = every
    this.#batch = batch
  }

  start(): void {
    if (this.#active) return
    this.#active = true
    this.#begin()
  }

  /** Ends the pause; a round under way may have looked too early, so another one follows it. */
  now(): void {
    if (this.#active) this.#begin()
  }

  async stop(): Promise<void> {
    this.#active = false
    this.#cancelTimer()
    await this.#round
  }

  /** One round at a time: one that was under way when the chore was stopped may still be when it is started again. */
  #begin(): void {
    this.#cancelTimer()
    this.#round = this.#round.then(() => this.#doRound())
  }

  async #doRound(): Promise<void> {
    try {
      while (this.#active && (await this.#batch()));
    } catch (error) {
      this.#ports.logger.error({ err: error, chore: this.#name }, 'maintenance failed; it is tried again')
    }
    if (!this.#active) return
    this.#cancelTimer()
    this.#cancelTimer = this.#ports.clock.after(this.#every, () => this.#begin())
  }
}
