import { itemTexts, memberText } from '../../lib/raw-json.ts'
import type { ApiClient, Query } from './api-client.ts'
import { misdirected } from './api-errors.ts'

/** What lists answer with. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}

/** The items of a page, also as the texts they came as. */
export interface ReadPage<Item> extends Page<Item> {
  readonly texts: readonly string[]
}

const LARGEST_PAGE = 1_000

/** Reads a list page by page. @param limit how many items at most; infinite for all of them. */
export async function* pages<Item>(
  client: ApiClient,
  path: string,
  query: Query,
  limit: number,
): AsyncGenerator<ReadPage<Item>> {
  let left = limit
  let cursor: string | undefined
  do {
    const { value, text, status } = await client.get<Page<Item>>(path, {
      ...query,
      limit: Math.min(left, LARGEST_PAGE),
      cursor,
    })
    if (!Array.isArray(value.items)) throw misdirected(client.address, status)
    yield { ...value, texts: itemTexts(memberText(text, 'items') ?? '[]') }
    left -= value.items.length
    cursor = value.next ?? undefined
  } while (cursor !== undefined && left > 0)
}
