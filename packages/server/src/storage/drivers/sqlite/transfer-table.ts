import type { Instant } from '../../../lib/time.ts'
import type { RecordKind, RecordPage, Records } from '../../contract/transfer.ts'
import { fitting } from '../../sql/paging.ts'
import type { Database, Value } from './database.ts'
import type { Transaction } from './transaction.ts'

/** The records of one kind, as this database holds them. */
export interface RecordTable<Kind extends RecordKind> {
  count(db: Database): number
  read(db: Database, after: string | null, limit: number): RecordPage<Kind>
  insert(transaction: Transaction, record: Records[Kind], now: Instant): void
}

/** A table that has a row for each record. */
interface Layout<Kind extends RecordKind, Row> {
  readonly table: string
  /** What of the table, named `t`, and of others a record is made of. */
  readonly select: string
  /** An expression for the bytes of a row, where they may be many. */
  readonly size?: string
  /** The columns of the primary key, which are among those selected. */
  readonly key: readonly (keyof Row & string)[]
  toRecord(row: Row): Records[Kind]
  readonly columns: readonly string[]
  /** The values of `columns`. */
  toRow(record: Records[Kind], transaction: Transaction): readonly Value[]
}

export function inRows<Kind extends RecordKind, Row>(layout: Layout<Kind, Row>): RecordTable<Kind> {
  const { table, select, size, key, toRecord, columns, toRow } = layout
  const keys = key.map((column) => `t.${column}`).join()
  const insert = `INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map(() => '?').join()})`
  return {
    count: (db) => countOf(db, table),
    read(db, after, limit) {
      const where = after === null ? '' : `WHERE (${keys}) > (${key.map(() => '?').join()})`
      const values = after === null ? [] : (JSON.parse(after) as Value[])
      const rest = `${where} ORDER BY ${keys} LIMIT ?`
      const sizes = size === undefined ? [] : db.rows<[number]>(`SELECT ${size} FROM ${table} t ${rest}`, ...values, limit)
      const most = fitting(sizes.flat(), limit)
      const rows = db.all<Row>(`${select} ${rest}`, ...values, most)
      const next = rows.length < most ? null : JSON.stringify(key.map((column) => rows.at(-1)![column]))
      return { records: rows.map(toRecord), next }
    },
    insert: (transaction, record) => void transaction.db.run(insert, ...toRow(record, transaction)),
  }
}

export const countOf = (db: Database, table: string): number => db.row<[number]>(`SELECT count(*) FROM ${table}`)![0]
