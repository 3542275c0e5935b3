import type { Instant } from '../../../lib/time.ts'
import type { QueueNames } from '../../sql/queue-names.ts'
import { QUEUE_COLUMNS, type QueueRecord } from '../../sql/queues.ts'
import { SharedTransaction } from '../../sql/transaction.ts'
import type { Connection, Queryable, Value } from './connection.ts'
import { JobRows } from './job-rows.ts'
import { Lanes } from './lanes.ts'
import { LogEventRows } from './log-event-rows.ts'
import { ADD_SUMS, sumsOf } from './sums.ts'
import { array, textArray } from './values.ts'

/**
 * What the calls that share a transaction share: the rows they lock and change, the queues they touch, and the counts and
 * roll-ups that are written once at the end, however many jobs were moved.
 *
 * So that nobody ever waits in a circle, all transactions lock in the same order: a queue where its limits count; then jobs,
 * by id; then lanes, by queue and key. Whoever holds lanes takes further jobs only where nobody else holds them.
 */
export class Transaction extends SharedTransaction implements Queryable {
  /** Whether it is one statement, which PostgreSQL commits by itself. */
  readonly alone: boolean
  override readonly lanes: Lanes
  readonly jobs: JobRows
  readonly logEvents: LogEventRows
  readonly #connection: Connection
  readonly #sent: Promise<unknown>[] = []
  #committing = false
  #failure: unknown = null

  constructor(connection: Connection, names: QueueNames, { alone = false } = {}) {
    super(names)
    this.#connection = connection
    this.alone = alone
    this.lanes = new Lanes(this)
    this.jobs = new JobRows(this)
    this.logEvents = new LogEventRows(this)
    if (!alone) void this.#command('BEGIN')
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

  /** Writes what was gathered, and commits. */
  async commit(): Promise<void> {
    this.jobs.save()
    this.lanes.save()
    this.logEvents.save(this.slot)
    this.#writeSums()
    const limits = this.readLimits()
    this.#sent.push(limits)
    if (!this.alone) await this.#sendCommit()
    this.committed(await limits)
  }

  async rollback(): Promise<void> {
    if (this.alone) return
    await this.#connection.command('ROLLBACK')
    await Promise.allSettled(this.#sent)
  }

  protected override selectIds(names: readonly string[]): Promise<[number, string][]> {
    return this.rows(SELECT_IDS, textArray(names))
  }

  protected override selectNames(ids: readonly number[]): Promise<[number, string][]> {
    return this.rows(SELECT_NAMES, array(ids))
  }

  protected override selectQueues(ids: readonly number[]): Promise<QueueRecord[]> {
    return this.rows(SELECT_QUEUES, array(ids))
  }

  protected override insertQueues(names: readonly string[], now: Instant): void {
    this.send(INSERT_QUEUES, textArray(names), now)
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
    const { counted, sums } = this
    if (counted.length === 0 && sums.length === 0) return
    this.send(ADD_SUMS, ...sumsOf(this.slot, counted, sums))
  }
}

const SELECT_IDS = 'SELECT id, name FROM octoflow_queues WHERE name = ANY ($1::text[])'

const SELECT_NAMES = 'SELECT id, name FROM octoflow_queues WHERE id = ANY ($1::integer[])'

const SELECT_QUEUES = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id = ANY ($1::integer[])`

// In order, as everybody's locks are; what another transaction makes at this moment is waited for.
const INSERT_QUEUES = `INSERT INTO octoflow_queues (name, created_at)
  SELECT name, $2::bigint FROM unnest($1::text[]) AS name ORDER BY name COLLATE "C" ON CONFLICT DO NOTHING`
