import type { Instant } from '../../../lib/time.ts'
import { LOWEST_PRIORITY } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import { CHARACTERS_AT_ONCE, type Page, type PageRequest } from '../../contract/page.ts'
import { Stage, stagesOf } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { type QueueRecord, QueueRow, SELECT_QUEUE } from './transaction.ts'

/** Rows that one page may look at when its filter is one that no index serves: a few milliseconds' worth. */
const EXAMINED_AT_MOST = 2_000

/** More ranges of an index than this are not merged; the rows are looked at one by one instead. */
const SOURCES_AT_MOST = 500

/** Ids in order, strictly beyond `after`, at most `limit` of them. */
type Source = (after: number, limit: number) => number[]

/**
 * Reads a page of ids in order, from sources that are each served by an index in that order, and loads what they name.
 * @param load gives `null` for an id that the filter rules out.
 * @param sizeOf in characters, of items that may be large.
 */
export function listIds<Item>(
  db: Database,
  filter: JobFilter,
  page: PageRequest,
  load: (id: number) => Item | null,
  sizeOf: (item: Item) => number = () => 0,
): Page<Item> {
  const { order, limit } = page
  const span = idSpan(db, filter)
  const merged = new Merged(sourcesOf(db, filter, order), order, start(page, span), limit + 1)
  const items: Item[] = []
  let position = 0
  let size = 0
  for (let examined = 0; ; examined++) {
    const id = merged.next()
    if (id === null || id < span.from || id >= span.to) return { items, next: null }
    if (items.length === limit || examined === EXAMINED_AT_MOST || size >= CHARACTERS_AT_ONCE) return { items, next: position }
    position = id
    const item = load(id)
    if (item === null) continue
    items.push(item)
    size += sizeOf(item)
  }
}

/** What several sources give, in one order. Each is read on by itself, when what it gave has been taken. */
class Merged {
  readonly #heads: Head[]
  readonly #descending: boolean

  constructor(sources: readonly Source[], order: 'asc' | 'desc', after: number, wanted: number) {
    const chunk = Math.min(wanted, Math.max(8, Math.ceil(EXAMINED_AT_MOST / sources.length)))
    this.#heads = sources.map((source) => new Head(source, after, chunk))
    this.#descending = order === 'desc'
  }

  next(): number | null {
    let first: Head | null = null
    for (const head of this.#heads) {
      if (head.id === null) continue
      if (first === null || head.id > first.id! === this.#descending) first = head
    }
    if (first === null) return null
    const { id } = first
    first.advance()
    return id
  }
}

/** The next id of a source. */
class Head {
  readonly #source: Source
  readonly #chunk: number
  #ids: readonly number[]
  #at = 0

  constructor(source: Source, after: number, chunk: number) {
    this.#source = source
    this.#chunk = chunk
    this.#ids = source(after, chunk)
  }

  /** `null` at the end. */
  get id(): number | null {
    return this.#ids[this.#at] ?? null
  }

  advance(): void {
    const last = this.#ids[this.#at++]!
    if (this.#at < this.#ids.length || this.#ids.length < this.#chunk) return
    this.#ids = this.#source(last, this.#chunk)
    this.#at = 0
  }
}

interface Span {
  /** Inclusive. */
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** A span of creation times as a span of ids: the two rise together. */
function idSpan(db: Database, { createdFrom, createdTo }: JobFilter): Span {
  return {
    from: createdFrom === undefined ? 0 : firstIdAt(db, createdFrom),
    to: createdTo === undefined ? Number.MAX_SAFE_INTEGER : firstIdAt(db, createdTo),
  }
}

function start({ order, after }: PageRequest, span: Span): number {
  if (order === 'asc') return Math.max(after ?? -1, span.from - 1)
  return Math.min(after ?? Number.MAX_SAFE_INTEGER, span.to)
}

/** The lowest id that was received at `at` or later, by bisection. */
export function firstIdAt(db: Database, at: Instant): number {
  let low = 0
  let high = (db.row<[number | null]>('SELECT max(id) FROM octoflow_requests')![0] ?? 0) + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const row = db.row<[number, number]>(
      'SELECT id, received_at FROM octoflow_requests WHERE id >= ? ORDER BY id LIMIT 1',
      middle,
    )
    if (row === undefined || row[1] >= at) high = middle
    else low = row[0] + 1
  }
  return low
}

const ascending = (a: number, b: number): number => a - b
const descending = (a: number, b: number): number => b - a

function sourcesOf(db: Database, filter: JobFilter, order: 'asc' | 'desc'): readonly Source[] {
  if (filter.ids !== undefined) return [given(filter.ids, order)]
  const query = (sql: string, ...values: (string | number)[]): Source => {
    const ordered = `${sql} AND ${order === 'asc' ? '{id} > ?' : '{id} < ?'} ORDER BY {id} ${order} LIMIT ?`
    const text = ordered.replaceAll('{id}', sql.includes('octoflow_job_labels') ? 'job_id' : 'id')
    return (after, limit) => db.rows<[number]>(text, ...values, after, limit).map(([id]) => id)
  }
  if (filter.label !== undefined) return [query('SELECT job_id FROM octoflow_job_labels WHERE label = ?', filter.label)]
  if (filter.queues === undefined && filter.states === undefined) return [query('SELECT id FROM octoflow_requests WHERE true')]
  if (isWide(db, filter)) return [query('SELECT id FROM octoflow_requests WHERE true')]
  const stages = filter.states === undefined ? Object.values(Stage) : [...new Set(filter.states)].flatMap(stagesOf)
  return queuesOf(db, filter.queues).flatMap((queue) =>
    stages.filter((stage) => queue.counts[stage]! > 0).flatMap((stage) => stageSources(db, queue.id, stage, order, query)),
  )
}

/** Whether a filter names more ranges than are worth merging: each pending stage is one for each priority. */
function isWide(db: Database, { queues, states }: JobFilter): boolean {
  const named = queues?.length ?? db.row<[number]>('SELECT count(*) FROM octoflow_queues')![0]
  const pending = states === undefined || states.includes('pending')
  return named * (pending ? LOWEST_PRIORITY + 1 : 1) > SOURCES_AT_MOST
}

function stageSources(
  db: Database,
  queueId: number,
  stage: Stage,
  order: 'asc' | 'desc',
  query: (sql: string, ...values: number[]) => Source,
): readonly Source[] {
  // The literals `stage < 3` and `stage > 3` let SQLite see that a partial index covers the query.
  if (stage > Stage.running)
    return [query('SELECT id FROM octoflow_requests WHERE queue_id = ? AND stage = ? AND stage > 3', queueId, stage)]
  if (stage === Stage.running) return [running(db, queueId, order)]
  return Array.from({ length: LOWEST_PRIORITY + 1 }, (_, priority) =>
    query(
      'SELECT id FROM octoflow_requests WHERE queue_id = ? AND stage = ? AND priority = ? AND stage < 3',
      queueId,
      stage,
      priority,
    ),
  )
}

/** Running jobs are as many as the workers have hands: few enough to be sorted here. */
function running(db: Database, queueId: number, order: 'asc' | 'desc'): Source {
  return (after, limit) => {
    const ids = db
      .rows<[number]>('SELECT id FROM octoflow_requests WHERE stage = 3 AND queue_id = ?', queueId)
      .map(([id]) => id)
    return given(ids, order)(after, limit)
  }
}

function given(ids: readonly number[], order: 'asc' | 'desc'): Source {
  const sorted = [...new Set(ids)].sort(order === 'asc' ? ascending : descending)
  return (after, limit) => sorted.filter((id) => (order === 'asc' ? id > after : id < after)).slice(0, limit)
}

export function queuesOf(db: Database, names: readonly string[] | undefined): QueueRow[] {
  const records =
    names === undefined
      ? db.rows<QueueRecord>(`${SELECT_QUEUE} ORDER BY name`)
      : [...new Set(names)].flatMap((name) => db.rows<QueueRecord>(`${SELECT_QUEUE} WHERE name = ?`, name))
  return records.map((record) => new QueueRow(record))
}
