import type { Instant } from '../../../lib/time.ts'
import type { RecordKind, RecordPage, Records } from '../../contract/transfer.ts'
import { fitting } from '../../sql/paging.ts'
import type { Queryable } from './connection.ts'
import type { Transaction } from './transaction.ts'
import type { Scalar } from './values.ts'

/** The records of one kind, as this database holds them. */
export interface RecordTable<Kind extends RecordKind> {
  count(from: Queryable): Promise<number>
  read(from: Queryable, after: string | null, limit: number): Promise<RecordPage<Kind>>
  insert(transaction: Transaction, records: readonly Records[Kind][], now: Instant): Promise<void>
}

/** A table that has a row for each record. */
interface Layout<Kind extends RecordKind, Row extends readonly unknown[]> {
  readonly table: string
  /** What is selected of the table, named `t`, and of others: the columns of `key` first. */
  readonly select: string
  /** An expression for the bytes of a row, where they may be many. */
  readonly size?: string
  /** What follows the condition, where several rows make up a record. */
  readonly groupBy?: string
  /** The columns that a record is known by, in their order. */
  readonly key: readonly string[]
  toRecord(row: Row): Records[Kind]
  readonly columns: readonly string[]
  /** The values of `columns`. @param queueIds of the queues that records name. */
  toRow(record: Records[Kind], queueIds: ReadonlyMap<string, number>): readonly Scalar[]
}

export function inRows<Kind extends RecordKind, Row extends readonly unknown[]>(layout: Layout<Kind, Row>): RecordTable<Kind> {
  const { table, select, size, groupBy = '', key, toRecord, columns, toRow } = layout
  const order = key.map((column) => `t.${column}`).join()
  const insert = `INSERT INTO ${table} (${columns.join()}) VALUES ?`
  return {
    count: (from) => countOf(from, table, key),
    async read(from, after, limit) {
      const values = after === null ? null : (JSON.parse(after) as Scalar[])
      const where = values === null ? '' : `WHERE ${beyond(key)}`
      const given = values === null ? [] : beyondValues(values)
      const sizes =
        size === undefined
          ? []
          : await from.rows<[number]>(`SELECT ${size} FROM ${table} t ${where} ORDER BY ${order} LIMIT ?`, ...given, limit)
      const most = fitting(sizes.flat(), limit)
      const rows = await from.rows<Row>(`${select} ${where} ${groupBy} ORDER BY ${order} LIMIT ?`, ...given, most)
      const next = rows.length < most ? null : JSON.stringify(rows.at(-1)!.slice(0, key.length))
      return { records: rows.map(toRecord), next }
    },
    async insert(transaction, records) {
      const queues = records.flatMap((record) => ('queue' in record && typeof record.queue === 'string' ? record.queue : []))
      const queueIds = await transaction.findQueues(queues)
      transaction.insert(
        insert,
        records.map((record) => toRow(record, queueIds)),
      )
    },
  }
}

/** As one range of an index, which a comparison of lists of columns is not to the server. */
function beyond([column, ...rest]: readonly string[]): string {
  return rest.length === 0 ? `t.${column} > ?` : `(t.${column} > ? OR (t.${column} = ? AND ${beyond(rest)}))`
}

const beyondValues = (values: readonly Scalar[]): Scalar[] =>
  values.flatMap((value, index) => (index === values.length - 1 ? [value] : [value, value]))

export async function countOf(from: Queryable, table: string, key: readonly string[]): Promise<number> {
  return (await from.rows<[number]>(`SELECT COUNT(DISTINCT ${key.join()}) FROM ${table}`))[0]![0]
}
