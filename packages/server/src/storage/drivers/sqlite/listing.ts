import type { Instant } from '../../../lib/time.ts'
import { LOWEST_PRIORITY } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import type { Page, PageRequest } from '../../contract/page.ts'
import type { Database } from './database.ts'
import { Stage, stagesOf } from './stages.ts'
import { type QueueRecord, QueueRow, SELECT_QUEUE } from './transaction.ts'

/** Rows that one page may look at when its filter is one that no index serves: a few milliseconds' worth. */
const EXAMINED_AT_MOST = 2_000

/** Ids in order, strictly beyond `after`, at most `limit` of them. */
type Source = (after: number, limit: number) => number[]

/**
 * Reads a page of ids in order, from sources that are each served by an index in that order, and loads what they name.
 * @param load gives `null` for an id that the rest of the filter rules out.
 */
export function listIds<Item>(
  db: Database,
  filter: JobFilter,
  page: PageRequest,
  load: (id: number) => Item | null,
): Page<Item> {
  const { order, limit } = page
  const span = idSpan(db, filter)
  const sources = sourcesOf(db, filter, order)
  const items: Item[] = []
  let position = start(page, span)
  let examined = 0
  while (true) {
    const chunk = merge(sources, order, position, limit + 1).filter((id) => id >= span.from && id < span.to)
    for (const id of chunk) {
      if (items.length === limit) return { items, next: position }
      position = id
      examined++
      const item = load(id)
      if (item !== null) items.push(item)
    }
    if (chunk.length <= limit) return { items, next: null }
    if (examined >= EXAMINED_AT_MOST) return { items, next: position }
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

function merge(sources: readonly Source[], order: 'asc' | 'desc', after: number, limit: number): number[] {
  const ids = sources.flatMap((source) => source(after, limit))
  return sources.length === 1 ? ids : ids.sort(order === 'asc' ? ascending : descending).slice(0, limit)
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
  const stages = filter.states === undefined ? Object.values(Stage) : [...new Set(filter.states)].flatMap(stagesOf)
  return queuesOf(db, filter.queues).flatMap((queue) =>
    stages.filter((stage) => queue.counts[stage]! > 0).flatMap((stage) => stageSources(db, queue.id, stage, order, query)),
  )
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
