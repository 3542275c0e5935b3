import { type Instant, MINUTE } from '../../lib/time.ts'
import type { QueueSettings } from '../../model/queue.ts'
import { QueueChange, type Ready, StatsRow } from './queue-change.ts'
import type { QueueNames } from './queue-names.ts'
import { type SomeQueueRecord, settingsOf } from './queues.ts'
import type { Stage } from './stages.ts'

/** What a transaction knows of queues, and the counts and roll-ups that it adds to them, written once at its end. */
export abstract class SharedTransaction {
  abstract readonly lanes: { move(queueId: number, key: string, from: Stage | null, to: Stage | null, jobs: number): void }
  readonly #names: QueueNames
  readonly #newNames: (readonly [id: number, name: string])[] = []
  readonly #changes = new Map<number, QueueChange>()
  readonly #settings = new Map<number, QueueSettings>()
  readonly #sums: StatsRow[] = []

  constructor(names: QueueNames) {
    this.#names = names
  }

  change(queueId: number): QueueChange {
    let change = this.#changes.get(queueId)
    if (change === undefined) {
      change = new QueueChange(queueId)
      this.#changes.set(queueId, change)
    }
    return change
  }

  /** Notes that jobs change their stage; `null` stands for not being there. */
  move(queueId: number, key: string | null, from: Stage | null, to: Stage | null, jobs = 1): void {
    this.change(queueId).count(from, to, jobs)
    if (key !== null) this.lanes.move(queueId, key, from, to, jobs)
  }

  /** The roll-up of the minute; the caller adds to it. */
  stats(queueId: number, now: Instant): StatsRow {
    const change = this.change(queueId)
    const minute = Math.floor(now / MINUTE)
    if (change.stats !== null && change.stats.minute === minute) return change.stats
    let row = this.#sums.find((sum) => sum.queueId === queueId && sum.minute === minute)
    if (row === undefined) {
      row = new StatsRow(queueId, minute)
      this.#sums.push(row)
    }
    change.stats = row
    return row
  }

  /** The number of each queue named; `null` for one that does not exist. */
  async findQueues(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const unknown = [...new Set(names)].filter((name) => this.#names.idOf(name) === undefined)
    if (unknown.length > 0) this.#newNames.push(...(await this.selectIds(unknown)))
    return this.#known(names)
  }

  /** The number of each queue named; those that do not exist are made. */
  async makeQueues(names: readonly string[], now: Instant): Promise<ReadonlyMap<string, number>> {
    const found = await this.findQueues(names)
    const missing = [...new Set(names)].filter((name) => !found.has(name)).sort()
    if (missing.length === 0) return found
    this.insertQueues(missing, now)
    return this.findQueues(names)
  }

  /** The settings of queues as they were committed when the transaction first asked for them. */
  async settings(queueIds: readonly number[]): Promise<ReadonlyMap<number, QueueSettings>> {
    const unread = [...new Set(queueIds)].filter((id) => !this.#settings.has(id))
    if (unread.length > 0) await this.readSettings(unread)
    return this.#settings
  }

  /** Reads settings as they are committed by now, whatever was read before. */
  async readSettings(queueIds: readonly number[]): Promise<void> {
    for (const record of await this.selectQueues([...new Set(queueIds)])) this.learn(record)
  }

  settingsOf(queueId: number): QueueSettings {
    const settings = this.#settings.get(queueId)
    if (settings === undefined) throw new Error(`the settings of queue ${queueId} were not read`)
    return settings
  }

  learn(record: SomeQueueRecord): QueueSettings {
    const settings = settingsOf(record)
    this.#settings.set(record[0], settings)
    this.#newNames.push([record[0], record[1]])
    return settings
  }

  async names(queueIds: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const unknown = [...new Set(queueIds)].filter((id) => this.#nameOf(id) === undefined)
    if (unknown.length > 0) this.#newNames.push(...(await this.selectNames(unknown)))
    return new Map(queueIds.map((id) => [id, this.#nameOf(id)!]))
  }

  /** Queues that are worth claiming from again, and by how many callers. */
  ready(): Ready[] {
    return [...this.#changes.values()].flatMap((change) => {
      const count = change.worthClaims(this.#settings.get(change.id)?.concurrency != null)
      return count > 0 ? [{ queue: this.#nameOf(change.id)!, count }] : []
    })
  }

  /** Queues whose counts are to be written. */
  protected get counted(): QueueChange[] {
    return [...this.#changes.values()].filter(({ countsChanged }) => countsChanged)
  }

  /** Roll-ups to be written. */
  protected get sums(): readonly StatsRow[] {
    return this.#sums
  }

  /** What is still to be known of the queues to tell who is worth waking: travels with the commit. */
  protected readLimits(): Promise<readonly SomeQueueRecord[]> {
    const unread = [...this.#changes.values()]
      .filter(
        ({ id, placesFreed, countsChanged }) =>
          (placesFreed > 0 && !this.#settings.has(id)) || (countsChanged && this.#nameOf(id) === undefined),
      )
      .map(({ id }) => id)
    return unread.length === 0 ? Promise.resolve([]) : this.selectQueues(unread)
  }

  /** To be told of the commit. @param limits what `readLimits` gave. */
  protected committed(limits: readonly SomeQueueRecord[]): void {
    for (const record of limits) this.learn(record)
    for (const [id, name] of this.#newNames) this.#names.remember(id, name)
  }

  protected abstract selectIds(names: readonly string[]): Promise<readonly (readonly [id: number, name: string])[]>

  protected abstract selectNames(ids: readonly number[]): Promise<readonly (readonly [id: number, name: string])[]>

  protected abstract selectQueues(ids: readonly number[]): Promise<readonly SomeQueueRecord[]>

  /** Makes queues, unless somebody else does at this moment. @param names in order, as everybody's locks are. */
  protected abstract insertQueues(names: readonly string[], now: Instant): void

  #known(names: readonly string[]): Map<string, number> {
    const known = new Map<string, number>()
    for (const name of names) {
      const id = this.#names.idOf(name) ?? this.#newNames.findLast((row) => row[1] === name)?.[0]
      if (id !== undefined) known.set(name, id)
    }
    return known
  }

  #nameOf(id: number): string | undefined {
    return this.#names.nameOf(id) ?? this.#newNames.find((row) => row[0] === id)?.[1]
  }
}
