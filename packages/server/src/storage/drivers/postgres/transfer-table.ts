import type { Instant } from '../../../lib/time.ts'
import type { RecordKind, RecordPage, Records } from '../../contract/transfer.ts'
import { fitting } from '../../sql/paging.ts'
import type { Queryable, Value } from './connection.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'

/** The records of one kind, as this database holds them. */
export interface RecordTable<Kind extends RecordKind> {
  readonly table: string
  count(from: Queryable): Promise<number>
  read(from: Queryable, after: string | null, limit: number): Promise<RecordPage<Kind>>
  insert(transaction: Transaction, records: readonly Records[Kind][], now: Instant): Promise<void>
}

/** The columns that are written, with their types. */
export type Columns = Readonly<Record<string, 'bigint' | 'integer' | 'smallint' | 'boolean' | 'double precision' | 'text'>>

/** A value of a column. */
export type Cell = string | number | boolean | null

/** A table that has a row for each record, or several that are told as one. */
interface Layout<Kind extends RecordKind, Row extends readonly unknown[]> {
  readonly table: string
  /** The columns that tell records apart, with which each row read begins. */
  readonly key: readonly string[]
  /** What else is read, and from where; `where` takes the place of the condition. */
  select(where: string): string
  /** An expression for the bytes of a row, where they may be many. */
  readonly size?: string
  toRecord(row: Row): Records[Kind]
  readonly columns: Columns
  /** The values of `columns`. @param queues the numbers of those that the records name. */
  toRow(record: Records[Kind], queues: ReadonlyMap<string, number>): readonly Cell[]
  /** The queue that a record names, where it names one. */
  queueOf?(record: Records[Kind]): string
}

export function inRows<Kind extends RecordKind, Row extends readonly unknown[]>(layout: Layout<Kind, Row>): RecordTable<Kind> {
  const { table, key, select, size, toRecord, columns, toRow, queueOf } = layout
  const order = `ORDER BY ${key.join()}`
  const next = `(${key.join()}) > (${key.map((_, index) => `$${index + 2}`).join()})`
  return {
    table,
    count: (from) => countOf(from, table),
    async read(from, after, limit) {
      const values = after === null ? [] : (JSON.parse(after) as Value[])
      const where = after === null ? 'true' : next
      const sizes =
        size === undefined
          ? []
          : await from.rows<[number]>(`SELECT ${size} FROM ${table} WHERE ${where} ${order} LIMIT $1`, limit, ...values)
      const most = fitting(sizes.flat(), limit)
      const rows = await from.rows<Row>(`${select(where)} ${order} LIMIT $1`, most, ...values)
      const last = rows.at(-1)
      return {
        records: rows.map(toRecord),
        next: rows.length < most || last === undefined ? null : JSON.stringify(last.slice(0, key.length)),
      }
    },
    async insert(transaction, records) {
      const queues = queueOf === undefined ? new Map<string, number>() : await transaction.findQueues(records.map(queueOf))
      const rows = records.map((record) => toRow(record, queues))
      insertRows(transaction, table, columns, rows)
    },
  }
}

export async function countOf(from: Queryable, table: string): Promise<number> {
  return (await from.rows<[number]>(`SELECT count(*) FROM ${table}`))[0]![0]
}

export function insertRows(
  transaction: Transaction,
  table: string,
  columns: Columns,
  rows: readonly (readonly Cell[])[],
): void {
  if (rows.length === 0) return
  const names = Object.keys(columns)
  const types = Object.values(columns)
  const given = types.map((type, index) => `$${index + 1}::${type}[]`)
  transaction.send(
    `INSERT INTO ${table} (${names.join()}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest(${given.join()})`,
    ...types.map((type, index) =>
      type === 'text'
        ? textArray(rows.map((row) => row[index] as string | null))
        : array(rows.map((row) => row[index] as number | boolean | null)),
    ),
  )
}
