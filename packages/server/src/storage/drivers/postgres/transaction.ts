import { type Instant, MINUTE } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import { QueueChange, StatsRow } from '../../sql/queue-change.ts'
import type { QueueNames } from '../../sql/queue-names.ts'
import type { Stage } from '../../sql/stages.ts'
import type { Connection, Queryable, Value } from './connection.ts'
import { JobRows } from './job-rows.ts'
import { Lanes } from './lanes.ts'
import { LogEventRows } from './log-event-rows.ts'
import { QUEUE_COLUMNS, type QueueRecord, settingsOf } from './queue-rows.ts'
import type { Ready } from './signals.ts'
import { ADD_SUMS, sumsOf } from './sums.ts'
import { array, textArray } from './values.ts'

/**
 * What the calls that share a transaction share: the rows they lock and change, the queues they touch, and the counts and
 * roll-ups that are written once at the end, however many jobs were moved.
 *
 * So that nobody ever waits in a circle, all transactions lock in the same order: a queue where its limits count; then jobs,
 * by id; then lanes, by queue and key. Whoever holds lanes takes further jobs only where nobody else holds them.
 */
export class Transaction implements Queryable {
  /** Whether it is one statement, which PostgreSQL commits by itself. */
  readonly alone: boolean
  readonly lanes: Lanes
  readonly jobs: JobRows
  readonly logEvents: LogEventRows
  readonly #connection: Connection
  readonly #names: QueueNames
  readonly #newNames: (readonly [id: number, name: string])[] = []
  readonly #changes = new Map<number, QueueChange>()
  readonly #settings = new Map<number, QueueSettings>()
  readonly #sums: StatsRow[] = []
  readonly #sent: Promise<unknown>[] = []
  #committing = false
  #failure: unknown = null

  constructor(connection: Connection, names: QueueNames, { alone = false } = {}) {
    this.#connection = connection
    this.#names = names
    this.alone = alone
    this.lanes = new Lanes(this)
    this.jobs = new JobRows(this)
    this.logEvents = new LogEventRows(this)
    if (!alone) this.#command('BEGIN')
  }

  /** The rows of counts and roll-ups that it adds to. */
  get slot(): number {
    return this.#connection.slot
  }

  /** Whether it may have been committed, for all that is known. */
  get inDoubt(): boolean {
    return this.#committing
  }

  /** What went wrong first; statements after it are told no more than that something did. */
  get failure(): unknown {
    return this.#failure
  }

  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    if (this.alone) this.#beginAlone()
    const rows = this.#connection.rows<Row>(sql, ...values)
    this.#noteFailure(rows)
    return rows
  }

  /** Sends a statement without waiting for it: it travels with those after it. What goes wrong ends the transaction. */
  send(sql: string, ...values: readonly Value[]): void {
    this.#sent.push(this.rows(sql, ...values))
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
    if (unknown.length > 0)
      for (const row of await this.rows<[number, string]>(SELECT_IDS, textArray(unknown))) this.#newNames.push(row)
    return this.#known(names)
  }

  /** The number of each queue named; those that do not exist are made. */
  async makeQueues(names: readonly string[], now: Instant): Promise<ReadonlyMap<string, number>> {
    const found = await this.findQueues(names)
    const missing = [...new Set(names)].filter((name) => !found.has(name)).sort()
    if (missing.length === 0) return found
    this.send(INSERT_QUEUES, textArray(missing), now)
    return this.findQueues(names)
  }

  /** The settings of queues as they are committed, read once for the transaction. */
  async settings(queueIds: readonly number[]): Promise<ReadonlyMap<number, QueueSettings>> {
    const unread = [...new Set(queueIds)].filter((id) => !this.#settings.has(id))
    if (unread.length > 0) for (const record of await this.rows<QueueRecord>(SELECT_QUEUES, array(unread))) this.learn(record)
    return this.#settings
  }

  settingsOf(queueId: number): QueueSettings {
    const settings = this.#settings.get(queueId)
    if (settings === undefined) throw new Error(`the settings of queue ${queueId} were not read`)
    return settings
  }

  learn(record: QueueRecord): QueueSettings {
    const settings = settingsOf(record)
    this.#settings.set(record[0], settings)
    this.#newNames.push([record[0], record[1]])
    return settings
  }

  async names(queueIds: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const unknown = [...new Set(queueIds)].filter((id) => this.#nameOf(id) === undefined)
    if (unknown.length > 0)
      for (const row of await this.rows<[number, string]>(SELECT_NAMES, array(unknown))) this.#newNames.push(row)
    return new Map(queueIds.map((id) => [id, this.#nameOf(id)!]))
  }

  /** Writes what was gathered, and commits. */
  async commit(): Promise<void> {
    this.jobs.save()
    this.lanes.save()
    this.logEvents.save(this.slot)
    this.#writeSums()
    const limits = this.#readLimits()
    if (!this.alone) await this.#sendCommit()
    for (const record of await limits) this.learn(record)
    for (const [id, name] of this.#newNames) this.#names.remember(id, name)
  }

  async rollback(): Promise<void> {
    if (this.alone) return
    await this.#connection.command('ROLLBACK')
    await Promise.allSettled(this.#sent)
  }

  /** Queues that are worth claiming from again, and by how many callers. */
  ready(): Ready[] {
    return [...this.#changes.values()].flatMap((change) => {
      const count = change.worthClaims(this.#settings.get(change.id)?.concurrency != null)
      return count > 0 ? [{ queue: this.#nameOf(change.id)!, count }] : []
    })
  }

  async #sendCommit(): Promise<void> {
    this.#committing = true
    const committed = this.#command('COMMIT')
    await Promise.allSettled(this.#sent)
    if (this.#failure !== null) throw this.#failure
    if ((await committed) !== 'COMMIT') throw new Error('the transaction was rolled back')
  }

  /** From here on it may have been committed. */
  #beginAlone(): void {
    if (this.#committing) throw new Error('a statement alone was followed by another')
    this.#committing = true
  }

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

  #command(sql: string): Promise<string> {
    const done = this.#connection.command(sql)
    this.#noteFailure(done)
    this.#sent.push(done)
    return done
  }

  /** In the order of the statements: whoever waits for them may hear of a later one first. */
  #noteFailure(answered: Promise<unknown>): void {
    answered.catch((error) => {
      this.#failure ??= error
    })
  }

  #writeSums(): void {
    const changed = [...this.#changes.values()].filter(({ countsChanged }) => countsChanged)
    const sums = this.#sums
    if (changed.length === 0 && sums.length === 0) return
    this.send(ADD_SUMS, ...sumsOf(this.slot, changed, sums))
  }

  /** What is still to be known of the queues to tell who is worth waking: travels with the commit. */
  #readLimits(): Promise<QueueRecord[]> {
    const unread = [...this.#changes.values()]
      .filter(
        ({ id, placesFreed, countsChanged }) =>
          (placesFreed > 0 && !this.#settings.has(id)) || (countsChanged && this.#nameOf(id) === undefined),
      )
      .map(({ id }) => id)
    if (unread.length === 0) return Promise.resolve([])
    const records = this.rows<QueueRecord>(SELECT_QUEUES, array(unread))
    this.#sent.push(records)
    return records
  }
}

const SELECT_IDS = 'SELECT id, name FROM octoflow_queues WHERE name = ANY ($1::text[])'

const SELECT_NAMES = 'SELECT id, name FROM octoflow_queues WHERE id = ANY ($1::integer[])'

const SELECT_QUEUES = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = ANY ($1::integer[])`

// In order, as everybody's locks are; what another transaction makes at this moment is waited for.
const INSERT_QUEUES = `INSERT INTO octoflow_queues (name, created_at)
  SELECT name, $2::bigint FROM unnest($1::text[]) AS name ORDER BY name COLLATE "C" ON CONFLICT DO NOTHING`
