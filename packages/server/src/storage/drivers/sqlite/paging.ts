import { CHARACTERS_AT_ONCE, type Page, type PageRequest } from '../../contract/page.ts'

const BEYOND = { asc: -1, desc: Number.MAX_SAFE_INTEGER } as const

/** The parts of a query that reads one page in order of `column`; one row more than asked for tells whether more follow. */
export function pageQuery({ order, after, limit }: PageRequest, column: string) {
  return {
    where: `${column} ${order === 'asc' ? '>' : '<'} ?`,
    order: `ORDER BY ${column} ${order === 'asc' ? 'ASC' : 'DESC'}`,
    after: after ?? BEYOND[order],
    limit: limit + 1,
  }
}

/** Cuts off what is too much, the extra row at least, and makes a cursor of it. @param sizeOf in characters or bytes. */
export function pageOf<Item extends { readonly id: number }>(
  rows: readonly Item[],
  { limit }: PageRequest,
  sizeOf: (item: Item) => number = () => 0,
): Page<Item> {
  let size = 0
  let count = 0
  while (count < rows.length && count < limit && size < CHARACTERS_AT_ONCE) size += sizeOf(rows[count++]!)
  return { items: rows.slice(0, count), next: count === rows.length ? null : rows[count - 1]!.id }
}
