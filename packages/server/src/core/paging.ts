import type { Page, PageRequest } from '../storage/contract/page.ts'

/** All items of a list that come after a position, read page by page. */
export async function* everyItem<Item>(
  list: (page: PageRequest<string>) => Promise<Page<Item, string>>,
  first: string | null = null,
): AsyncGenerator<Item, void, void> {
  let after = first
  do {
    const page: Page<Item, string> = await list({ limit: PAGE, order: 'asc', after })
    yield* page.items
    after = page.next
  } while (after !== null)
}

const PAGE = 1_000

/** A page of a list whose items are all at hand. */
export function pageOf<Item>(
  items: readonly Item[],
  positionOf: (item: Item) => string,
  { limit, order, after }: PageRequest<string>,
): Page<Item, string> {
  const isBefore = (a: string, b: string): boolean => (order === 'asc' ? a < b : a > b)
  const rest = items
    .filter((item) => after === null || isBefore(after, positionOf(item)))
    .sort((a, b) => (isBefore(positionOf(a), positionOf(b)) ? -1 : 1))
  const page = rest.slice(0, limit)
  return { items: page, next: rest.length > limit ? positionOf(page.at(-1)!) : null }
}
