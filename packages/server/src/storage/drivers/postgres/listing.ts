import type { Instant } from '../../../lib/time.ts'
import { LOWEST_PRIORITY } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import { CHARACTERS_AT_ONCE, type Page, type PageRequest } from '../../contract/page.ts'
import { Stage, stagesOf } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'
import { array, textArray } from './values.ts'

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

const SELECT_RECEIVED = 'SELECT id, received_at FROM octoflow_requests WHERE id >= $1 ORDER BY id LIMIT 1'

async function sourceOf(from: Queryable, filter: JobFilter, order: Order): Promise<Source> {
  if (filter.ids !== undefined) return given(filter.ids, order)
  const { label } = filter
  if (label !== undefined) return (after, limit) => from.rows<Candidate>(SELECT_LABELLED[order], after, limit, label)
  const all: Source = (after, limit) => from.rows<Candidate>(SELECT_ALL[order], after, limit)
  if (filter.queues === undefined && filter.states === undefined) return all
  const stages = filter.states === undefined ? Object.values(Stage) : [...new Set(filter.states)].flatMap(stagesOf)
  const queues = await queueIds(from, filter.queues)
  const priorities = Array.from({ length: LOWEST_PRIORITY + 1 }, (_, priority) => priority)
  const pending = cross(
    queues,
    stages.filter((stage) => stage < Stage.running),
    priorities,
  )
  const finished = cross(
    queues,
    stages.filter((stage) => stage > Stage.running),
    [0],
  )
  if (pending.length + finished.length > RANGES_AT_MOST) return all
  const running = stages.includes(Stage.running) ? queues : []
  const ranges = [
    ...[0, 1, 2].map((at) => array(pending.map((range) => range[at]!))),
    ...[0, 1].map((at) => array(finished.map((range) => range[at]!))),
    array(running),
  ]
  return (after, limit) => from.rows<Candidate>(SELECT_RANGES[order], after, limit, ...ranges)
}

const cross = (queues: readonly number[], stages: readonly Stage[], priorities: readonly number[]): (readonly number[])[] =>
  queues.flatMap((queue) => stages.flatMap((stage) => priorities.map((priority) => [queue, stage, priority])))

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

async function queueIds(from: Queryable, names: readonly string[] | undefined): Promise<number[]> {
  const rows =
    names === undefined
      ? await from.rows<[number]>('SELECT id FROM octoflow_queues')
      : await from.rows<[number]>('SELECT id FROM octoflow_queues WHERE name = ANY ($1::text[])', textArray(names))
  return rows.map(([id]) => id)
}

// $1 after, $2 limit.
const either = (sql: (beyond: '>' | '<', order: Order) => string): Readonly<Record<Order, string>> => ({
  asc: sql('>', 'asc'),
  desc: sql('<', 'desc'),
})

const SELECT_ALL = either(
  (beyond, order) => `SELECT id, size FROM octoflow_requests WHERE id ${beyond} $1 ORDER BY id ${order} LIMIT $2`,
)

const SELECT_LABELLED = either(
  (beyond, order) => `SELECT l.job_id, r.size FROM octoflow_job_labels l JOIN octoflow_requests r ON r.id = l.job_id
    WHERE l.label = $3 AND l.job_id ${beyond} $1 ORDER BY l.job_id ${order} LIMIT $2`,
)

// Each range is read in the order of its index, no further than needed. Running jobs are as many as the workers have hands.
// The literals `stage < 3` and `stage > 3` tell which partial index serves.
const SELECT_RANGES = either((beyond, order) => {
  const range = (condition: string): string => `LATERAL (
    SELECT id, size FROM octoflow_requests WHERE queue_id = range.queue AND ${condition} AND id ${beyond} $1 ORDER BY id ${order} LIMIT $2) AS job`
  return `SELECT id, size FROM (
      SELECT job.* FROM unnest($3::integer[], $4::smallint[], $5::smallint[]) AS range (queue, stage, priority),
        ${range('stage = range.stage AND priority = range.priority AND stage < 3')}
      UNION ALL
      SELECT job.* FROM unnest($6::integer[], $7::smallint[]) AS range (queue, stage), ${range('stage = range.stage AND stage > 3')}
      UNION ALL
      SELECT id, size FROM octoflow_requests WHERE stage = 3 AND queue_id = ANY ($8::integer[]) AND id ${beyond} $1
    ) AS found ORDER BY id ${order} LIMIT $2`
})
