import type { Instant } from '../../lib/time.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import { CHARACTERS_AT_ONCE, type Page, type PageRequest } from '../contract/page.ts'

/** Rows that one page may look at when its filter is one that no index serves: a few milliseconds' worth. */
const EXAMINED_AT_MOST = 2_000

/** More ranges of an index than this are not merged; the rows are looked at one by one instead. */
export const RANGES_AT_MOST = 500

/** Rows that are loaded together at most, while few of them match. */
const LOADED_AT_ONCE = 200

export type Order = 'asc' | 'desc'

/** Ids in order, strictly beyond `after`, at most `limit` of them; with what the payloads that stand apart come to. */
export type Source = (after: number, limit: number) => Promise<readonly Candidate[]>

export type Candidate = readonly [id: number, size: number | null]

export interface Loader<Item> {
  /** The items that match, in the order of the ids. */
  readonly load: (ids: readonly number[]) => Promise<readonly Item[]>
  /** In characters, of items that may be large. */
  readonly sizeOf?: (item: Item) => number
}

/** Where ids are read from: a connection, or a transaction under way. */
export interface Ids {
  /** The highest id of a request; 0 where there is none. */
  newest(): Promise<number>
  /** The first request from an id on. */
  firstFrom(id: number): Promise<readonly [id: number, receivedAt: Instant] | null>
  /** The ids that a filter without `ids` may mean. */
  sourceOf(filter: JobFilter, order: Order): Promise<Source>
}

/** Reads a page of ids in order, from ranges that are each served by an index in that order, and loads what they name. */
export async function listIds<Item extends { readonly id: number }>(
  from: Ids,
  filter: JobFilter,
  page: PageRequest,
  { load, sizeOf = () => 0 }: Loader<Item>,
): Promise<Page<Item>> {
  const { order, limit } = page
  const span = await idSpan(from, filter)
  const source = filter.ids === undefined ? await from.sourceOf(filter, order) : given(filter.ids, order)
  const items: Item[] = []
  let position = start(page, span)
  let size = 0
  let examined = 0
  while (true) {
    // One more than is wanted, to tell whether there are more.
    const wanted = Math.min(LOADED_AT_ONCE, EXAMINED_AT_MOST - examined, limit - items.length) + 1
    const beyond = await source(position, wanted)
    const candidates = beyond.filter(([id]) => id >= span.from && id < span.to)
    const together = atOnce(candidates.slice(0, wanted - 1))
    for (const item of await load(together)) {
      if (size >= CHARACTERS_AT_ONCE) return { items, next: position }
      items.push(item)
      size += sizeOf(item)
      position = item.id
    }
    if (together.length === candidates.length && beyond.length < wanted) return { items, next: null }
    if (together.length === candidates.length && candidates.length < beyond.length) return { items, next: null }
    position = together.at(-1) ?? position
    examined += together.length
    if (items.length === limit || examined >= EXAMINED_AT_MOST || size >= CHARACTERS_AT_ONCE) return { items, next: position }
  }
}

/** As many of the candidates, one at least, as do not come to too many characters. */
function atOnce(candidates: readonly Candidate[]): number[] {
  let size = 0
  let count = 0
  while (count < candidates.length && size < CHARACTERS_AT_ONCE) size += candidates[count++]![1] ?? 0
  return candidates.slice(0, count).map(([id]) => id)
}

interface Span {
  /** Inclusive. */
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** A span of creation times as a span of ids: the two rise together. */
async function idSpan(from: Ids, { createdFrom, createdTo }: JobFilter): Promise<Span> {
  return {
    from: createdFrom === undefined ? 0 : await firstIdAt(from, createdFrom),
    to: createdTo === undefined ? Number.MAX_SAFE_INTEGER : await firstIdAt(from, createdTo),
  }
}

function start({ order, after }: PageRequest, span: Span): number {
  if (order === 'asc') return Math.max(after ?? -1, span.from - 1)
  return Math.min(after ?? Number.MAX_SAFE_INTEGER, span.to)
}

/** The lowest id that was received at `at` or later, by bisection. */
export async function firstIdAt(from: Ids, at: Instant): Promise<number> {
  let low = 0
  let high = (await from.newest()) + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const row = await from.firstFrom(middle)
    if (row === null || row[1] >= at) high = middle
    else low = row[0] + 1
  }
  return low
}

function given(ids: readonly number[], order: Order): Source {
  const sorted = [...new Set(ids)].sort((a, b) => (order === 'asc' ? a - b : b - a))
  return (after, limit) =>
    Promise.resolve(
      sorted
        .filter((id) => (order === 'asc' ? id > after : id < after))
        .slice(0, limit)
        .map((id) => [id, null]),
    )
}
