import { CHARACTERS_AT_ONCE, type Page, type PageRequest } from '../contract/page.ts'

/**
 * The parts of a query that reads one page in order of `column`; one row more than asked for tells whether more follow.
 * @param placeholder stands for `after` in the text.
 */
export function pageQuery({ order, after, limit }: PageRequest<number | string>, column: string, placeholder = '?') {
  return {
    // What stands for `after` has to stand somewhere, also where all are wanted.
    where: after === null ? `coalesce(${placeholder}, 0) = 0` : `${column} ${order === 'asc' ? '>' : '<'} ${placeholder}`,
    order: `ORDER BY ${column} ${order === 'asc' ? 'ASC' : 'DESC'}`,
    after,
    limit: limit + 1,
  }
}

/** Cuts off what is too much, the extra row at least, and makes a cursor of it. @param sizeOf in characters or bytes. */
export function pageOf<Item extends { readonly id: number }>(
  rows: readonly Item[],
  page: PageRequest,
  sizeOf: (item: Item) => number = () => 0,
): Page<Item> {
  return pageBy(rows, page, ({ id }) => id, sizeOf)
}

export function pageBy<Item, Position extends number | string>(
  rows: readonly Item[],
  { limit }: PageRequest<Position>,
  positionOf: (item: Item) => Position,
  sizeOf: (item: Item) => number = () => 0,
): Page<Item, Position> {
  let size = 0
  let count = 0
  while (count < rows.length && count < limit && size < CHARACTERS_AT_ONCE) size += sizeOf(rows[count++]!)
  return { items: rows.slice(0, count), next: count === rows.length ? null : positionOf(rows[count - 1]!) }
}

/** How many rows of these sizes, in characters or bytes, make a page; `limit` where all of them do. */
export function fitting(sizes: readonly number[], limit: number): number {
  let sum = 0
  const last = sizes.findIndex((size) => {
    sum += size
    return sum >= CHARACTERS_AT_ONCE
  })
  return last === -1 ? limit : last + 1
}
