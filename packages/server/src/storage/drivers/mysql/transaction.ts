import type { Instant } from '../../../lib/time.ts'
import { COUNT_COLUMNS, STATS_COLUMNS } from '../../sql/queue-change.ts'
import type { QueueNames } from '../../sql/queue-names.ts'
import { SharedTransaction } from '../../sql/transaction.ts'
import type { Connection, Queryable, Written } from './connection.ts'
import { JobRows } from './job-rows.ts'
import { Lanes } from './lanes.ts'
import { LogEventRows } from './log-event-rows.ts'
import { QUEUE_COLUMNS, type QueueRecord, STATS_SPANS } from './queue-rows.ts'
import { inPortions, type Scalar, type Value } from './values.ts'

/**
 * What the calls that share a transaction share: the rows they lock and change, the queues they touch, and the counts and
 * roll-ups that are written once at the end, however many jobs were moved.
 *
 * So that nobody ever waits in a circle, all transactions lock in the same order: a queue where its limits count; then jobs,
 * by id; then lanes, by queue and key. Whoever holds lanes takes further jobs only where nobody else holds them.
 */
export class Transaction extends SharedTransaction implements Queryable {
  override readonly lanes: Lanes
  readonly jobs: JobRows
  readonly logEvents: LogEventRows
  readonly #connection: Connection
  #committing = false

  constructor(connection: Connection, names: QueueNames) {
    super(names)
    this.#connection = connection
    this.lanes = new Lanes(this)
    this.jobs = new JobRows(this)
    this.logEvents = new LogEventRows(this)
    connection.send('START TRANSACTION')
  }

  /** Whether it may have been committed, for all that is known. */
  get inDoubt(): boolean {
    return this.#committing
  }

  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return this.#connection.rows<Row>(sql, ...values)
  }

  execute(sql: string, ...values: readonly Value[]): Promise<Written> {
    return this.#connection.execute(sql, ...values)
  }

  /** Sends a statement without waiting for it: it travels with those after it. What goes wrong ends the transaction. */
  send(sql: string, ...values: readonly Value[]): void {
    this.#connection.send(sql, ...values)
  }

  /** Inserts rows, however many and large, with a statement that has one question mark. */
  insert(sql: string, rows: readonly (readonly Scalar[])[]): void {
    for (const portion of inPortions(rows)) this.send(sql, portion)
  }

  /** Reads what is not waited for before the commit, with which it travels at the latest. */
  later<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return this.#connection.later<Row>(sql, ...values)
  }

  /** Writes what was gathered, and commits. */
  async commit(): Promise<void> {
    this.jobs.save()
    this.lanes.save()
    this.logEvents.save(this.#connection.slot)
    this.#writeCounts()
    this.#writeStats()
    const reading = this.readLimits()
    this.#committing = true
    const [limits] = await Promise.all([reading, this.execute('COMMIT')])
    this.committed(limits)
  }

  protected override selectIds(names: readonly string[]): Promise<[number, string][]> {
    return this.rows(SELECT_IDS, names)
  }

  protected override selectNames(ids: readonly number[]): Promise<[number, string][]> {
    return this.rows(SELECT_NAMES, ids)
  }

  protected override selectQueues(ids: readonly number[]): Promise<QueueRecord[]> {
    return this.rows(SELECT_QUEUES, ids)
  }

  protected override insertQueues(names: readonly string[], now: Instant): void {
    this.send(
      INSERT_QUEUES,
      names.map((name) => [name, now]),
    )
  }

  #writeCounts(): void {
    const { slot } = this.#connection
    const { counted } = this
    if (counted.length === 0) return
    this.send(
      ADD_COUNTS,
      counted.sort((a, b) => a.id - b.id).map(({ id, counts }) => [slot, id, ...counts]),
    )
  }

  #writeStats(): void {
    const { sums } = this
    if (sums.length === 0) return
    const { slot } = this.#connection
    const rows = sums.flatMap((sum) =>
      STATS_SPANS.map((span): Scalar[] => [
        slot,
        sum.queueId,
        span,
        Math.floor(sum.minute / span) * span,
        ...STATS_COLUMNS.map((column) => sum[column]),
      ]),
    )
    this.send(ADD_STATS, rows)
  }
}

const SELECT_IDS = 'SELECT id, name FROM octoflow_queues WHERE name IN (?)'

const SELECT_NAMES = 'SELECT id, name FROM octoflow_queues WHERE id IN (?)'

const SELECT_QUEUES = `SELECT ${QUEUE_COLUMNS} FROM octoflow_queues q WHERE q.id IN (?)`

// In order, as everybody's locks are; what another transaction makes at this moment is waited for.
const INSERT_QUEUES = 'INSERT INTO octoflow_queues (name, created_at) VALUES ? ON DUPLICATE KEY UPDATE version = version'

/** Of an upsert: adds what is given to what is there. */
export const adding = (columns: readonly string[]): string =>
  columns.map((column) => `${column} = ${column} + VALUES(${column})`).join(', ')

const ADD_COUNTS = `INSERT INTO octoflow_counts (slot, queue_id, ${COUNT_COLUMNS.join(', ')})
  VALUES ? ON DUPLICATE KEY UPDATE ${adding(COUNT_COLUMNS)}`

const ADD_STATS = `INSERT INTO octoflow_stats (slot, queue_id, span, start, ${STATS_COLUMNS.join(', ')})
  VALUES ? ON DUPLICATE KEY UPDATE ${adding(STATS_COLUMNS)}`
