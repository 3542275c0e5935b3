/**
 * A page or a claim that has come to so many characters ends there, so that no answer is too large to be built: rows are
 * up to as large as the bodies that the server takes.
 */
export const CHARACTERS_AT_ONCE = 16_777_216

/**
 * Which part of a list is wanted. A list is in order of what tells its items apart: of numbers by size, of texts by the code
 * points of their characters, as their UTF-8 is compared byte by byte.
 */
export interface PageRequest<Position extends number | string = number> {
  readonly limit: number
  readonly order: 'asc' | 'desc'
  /** The `next` of the page before; `null` for the first page. */
  readonly after: Position | null
}

/**
 * A page of a list. It may hold fewer items than asked for while there are more: a filter that no index serves is
 * applied to a bounded number of rows for each page, so that no request can keep the database busy for long, and a page
 * of large items ends at `CHARACTERS_AT_ONCE`.
 */
export interface Page<Item, Position extends number | string = number> {
  readonly items: readonly Item[]
  /** Where the next page begins; `null` at the end. */
  readonly next: Position | null
}
