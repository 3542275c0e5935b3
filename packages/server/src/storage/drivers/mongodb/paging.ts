import type { Document } from 'mongodb'
import type { Page, PageRequest } from '../../contract/page.ts'
import { pageBy } from '../../sql/paging.ts'
import type { Query } from './connection.ts'

/** A query for one page in order of `_id`; one document more than asked for tells whether more follow. */
export function pageQuery({ order, after, limit }: PageRequest<number | string>, filter: Document): Query {
  const beyond = after === null ? {} : { _id: order === 'asc' ? { $gt: after } : { $lt: after } }
  return { filter: { ...filter, ...beyond }, sort: { _id: order === 'asc' ? 1 : -1 }, limit: limit + 1 }
}

/** Cuts off what is too much, the extra document at least, and makes a cursor of it. @param sizeOf in characters. */
export const pageOf = <Item extends { readonly _id: number | string }>(
  documents: readonly Item[],
  page: PageRequest<Item['_id']>,
  sizeOf?: (item: Item) => number,
): Page<Item, Item['_id']> => pageBy(documents, page, ({ _id }) => _id, sizeOf)
