import type { Page, PageRequest } from '../../contract/page.ts'

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

/** Cuts the extra row off and makes a cursor of it. */
export function pageOf<Item extends { readonly id: number }>(rows: readonly Item[], { limit }: PageRequest): Page<Item> {
  if (rows.length <= limit) return { items: rows, next: null }
  return { items: rows.slice(0, limit), next: rows[limit - 1]!.id }
}
