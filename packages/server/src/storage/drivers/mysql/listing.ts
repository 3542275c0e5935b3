import type { Instant } from '../../../lib/time.ts'
import { LOWEST_PRIORITY } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import { CHARACTERS_AT_ONCE, type Page, type PageRequest } from '../../contract/page.ts'
import { COUNT_COLUMNS } from '../../sql/queue-change.ts'
import { Stage, stagesOf } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'
import { format } from './values.ts'

/** Rows that one page may look at when its filter is one that no index serves: a few milliseconds' worth. */
const EXAMINED_AT_MOST = 2_000

/** More ranges of an index than this are not merged; the rows are looked at one by one instead. */
const RANGES_AT_MOST = 500

/** Rows that are loaded together at most, while few of them match. */
const LOADED_AT_ONCE = 200

type Order = 'asc' | 'desc'

/** Ids in order, strictly beyond `after`, at most `limit` of them; with what the payloads that stand apart come to. */
type Source = (after: number, limit: number) => Promise<readonly Candidate[]>

type Candidate = readonly [id: number, size: number | null]

interface Loader<Item> {
  /** The items that match, in the order of the ids. */
  readonly load: (ids: readonly number[]) => Promise<readonly Item[]>
  /** In characters, of items that may be large. */
  readonly sizeOf?: (item: Item) => number
}

/** Reads a page of ids in order, from ranges that are each served by an index in that order, and loads what they name. */
export async function listIds<Item extends { readonly id: number }>(
  from: Queryable,
  filter: JobFilter,
  page: PageRequest,
  { load, sizeOf = () => 0 }: Loader<Item>,
): Promise<Page<Item>> {
  const { order, limit } = page
  const span = await idSpan(from, filter)
  const source = await sourceOf(from, filter, order)
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
async function idSpan(from: Queryable, { createdFrom, createdTo }: JobFilter): Promise<Span> {
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
export async function firstIdAt(from: Queryable, at: Instant): Promise<number> {
  let low = 0
  let high = ((await from.rows<[number | null]>('SELECT max(id) FROM octoflow_requests'))[0]![0] ?? 0) + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [row] = await from.rows<[number, Instant]>(SELECT_RECEIVED, middle)
    if (row === undefined || row[1] >= at) high = middle
    else low = row[0] + 1
  }
  return low
}

const SELECT_RECEIVED = 'SELECT id, received_at FROM octoflow_requests WHERE id >= ? ORDER BY id LIMIT 1'

async function sourceOf(from: Queryable, filter: JobFilter, order: Order): Promise<Source> {
  if (filter.ids !== undefined) return given(filter.ids, order)
  const { label } = filter
  const beyond = order === 'asc' ? '>' : '<'
  if (label !== undefined) {
    const sql = `SELECT l.job_id, r.size FROM octoflow_job_labels l JOIN octoflow_requests r ON r.id = l.job_id
      WHERE l.label = ? AND l.job_id ${beyond} ? ORDER BY l.job_id ${order} LIMIT ?`
    return (after, limit) => from.rows<Candidate>(sql, label, after, limit)
  }
  const ranges = await rangesOf(from, filter)
  if (ranges === 'all') {
    const sql = `SELECT id, size FROM octoflow_requests WHERE id ${beyond} ? ORDER BY id ${order} LIMIT ?`
    return (after, limit) => from.rows<Candidate>(sql, after, limit)
  }
  const parts = ranges.map(({ queueId, stage, place }) =>
    place === null ? format(SELECT_STAGE, [queueId, stage]) : format(SELECT_RANGE, [queueId, stage, place]),
  )
  // Each range is read in the order of its index, no further than needed.
  return (after, limit) => {
    if (parts.length === 0) return Promise.resolve([])
    const rest = format(`AND id ${beyond} ? ORDER BY id ${order} LIMIT ?`, [after, limit])
    return from.rows<Candidate>(
      `${parts.map((part) => `(${part} ${rest})`).join(' UNION ALL ')} ORDER BY id ${order} LIMIT ?`,
      limit,
    )
  }
}

/** A part of the index that is in order of id; without a place, all running jobs, as many as the workers have hands. */
interface Range {
  readonly queueId: number
  readonly stage: Stage
  readonly place: number | null
}

/** The ranges in which the jobs that a filter names stand; `all` where they are not worth merging. */
async function rangesOf(from: Queryable, { queues, states }: JobFilter): Promise<readonly Range[] | 'all'> {
  if (queues === undefined && states === undefined) return 'all'
  const wanted = states === undefined ? Object.values(Stage) : [...new Set(states)].flatMap(stagesOf)
  const counted =
    queues === undefined
      ? await from.rows<[number, ...number[]]>(SELECT_COUNTS)
      : await from.rows<[number, ...number[]]>(SELECT_COUNTS_OF, queues)
  const ranges = counted.flatMap(([queueId, ...counts]) =>
    wanted
      .filter((stage) => counts[stage]! > 0)
      .flatMap((stage) => placesOf(stage).map((place): Range => ({ queueId, stage, place }))),
  )
  return ranges.length > RANGES_AT_MOST ? 'all' : ranges
}

const PRIORITIES = Array.from({ length: LOWEST_PRIORITY + 1 }, (_, priority) => priority)

const placesOf = (stage: Stage): readonly (number | null)[] =>
  stage < Stage.running ? PRIORITIES : [stage === Stage.running ? null : 0]

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

const SELECT_RANGE = `SELECT id, size FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = ? AND place = ?`

const SELECT_STAGE = `SELECT id, size FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = ?`

const SUMS = COUNT_COLUMNS.map((column) => `SUM(${column})`).join(', ')

const SELECT_COUNTS = `SELECT queue_id, ${SUMS} FROM octoflow_counts GROUP BY queue_id`

const SELECT_COUNTS_OF = `SELECT queue_id, ${SUMS} FROM octoflow_counts
  WHERE queue_id IN (SELECT id FROM octoflow_queues WHERE name IN (?)) GROUP BY queue_id`
