import type { Change } from './changes.ts'
import type { Connection } from './connection.ts'
import type { CollectionName } from './documents.ts'
import { Table } from './table.ts'

/** What hangs on documents of other collections. */
type Dependent = 'texts' | 'attempts' | 'events'

/** Collections of which nothing is kept in memory. */
type Unkept = 'logEvents'

/** All collections, as the writer sees them. */
export class Tables {
  readonly requests: Table<'requests'>
  readonly texts: Table<'texts'>
  readonly attempts: Table<'attempts'>
  readonly events: Table<'events'>
  readonly queues: Table<'queues'>
  readonly lanes: Table<'lanes'>
  readonly stats: Table<'stats'>
  readonly idempotency: Table<'idempotency'>
  readonly workers: Table<'workers'>
  readonly operations: Table<'operations'>
  readonly keys: Table<'keys'>
  readonly leader: Table<'leader'>
  readonly sweeps: Table<'sweeps'>
  readonly logEventCounts: Table<'logEventCounts'>
  readonly logEventFollowers: Table<'logEventFollowers'>
  readonly logEventArrivals: Table<'logEventArrivals'>
  readonly transfer: Table<'transfer'>
  #unkept: Change[] = []
  #dropped: { readonly table: Dependent; readonly field: string; readonly values: readonly (string | number)[] }[] = []

  constructor(connection: Connection) {
    this.requests = new Table('requests', connection)
    // Nothing reads these through the writer, and texts are large.
    this.texts = new Table('texts', connection, 0)
    this.attempts = new Table('attempts', connection)
    this.events = new Table('events', connection, 0)
    this.queues = new Table('queues', connection)
    this.lanes = new Table('lanes', connection)
    this.stats = new Table('stats', connection)
    this.idempotency = new Table('idempotency', connection)
    this.workers = new Table('workers', connection)
    this.operations = new Table('operations', connection)
    this.keys = new Table('keys', connection)
    this.leader = new Table('leader', connection)
    this.sweeps = new Table('sweeps', connection)
    this.logEventCounts = new Table('logEventCounts', connection)
    this.logEventFollowers = new Table('logEventFollowers', connection)
    this.logEventArrivals = new Table('logEventArrivals', connection)
    this.transfer = new Table('transfer', connection)
  }

  /** Changes to collections of which nothing is kept. */
  add(changes: readonly Change[]): void {
    this.#unkept.push(...changes)
  }

  /** Deletes what hangs on documents that the transaction changes or deletes: those whose `field` has one of the values. */
  drop(table: Dependent, field: string, values: readonly (string | number)[]): void {
    if (values.length > 0) this.#dropped.push({ table, field, values })
  }

  changes(): Change[] {
    return [
      ...this.#all().flatMap((table) => table.changes()),
      ...this.#unkept,
      ...[...Map.groupBy(this.#dropped, ({ table, field }) => `${table}.${field}`).values()].map((same) => {
        const { table, field } = same[0]!
        return { kind: 'drop', table, field, values: same.flatMap(({ values }) => values) } as const
      }),
    ]
  }

  commit(): void {
    for (const table of this.#all()) table.commit()
    this.#clear()
  }

  rollback(): void {
    for (const table of this.#all()) table.rollback()
    this.#clear()
  }

  /** Takes over what other servers have committed. */
  adopt(changes: readonly Change[]): void {
    for (const change of changes) if (isKept(change.table)) this[change.table].adopt(change)
  }

  forget(): void {
    this.rollback()
    for (const table of this.#all()) table.forget()
  }

  #clear(): void {
    this.#dropped = []
    this.#unkept = []
  }

  #all(): readonly { changes(): Change[]; commit(): void; rollback(): void; forget(): void }[] {
    const { requests, texts, attempts, events, queues, lanes, stats, idempotency, workers, operations, keys } = this
    const { leader, sweeps, logEventCounts, logEventFollowers, logEventArrivals, transfer } = this
    return [
      requests,
      texts,
      attempts,
      events,
      queues,
      lanes,
      stats,
      idempotency,
      workers,
      operations,
      keys,
      leader,
      sweeps,
      logEventCounts,
      logEventFollowers,
      logEventArrivals,
      transfer,
    ]
  }
}

const isKept = (name: CollectionName): name is Exclude<CollectionName, Unkept> => name !== ('logEvents' satisfies Unkept)
