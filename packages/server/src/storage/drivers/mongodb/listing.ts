import type { Document } from 'mongodb'
import type { Instant } from '../../../lib/time.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import { CHARACTERS_AT_ONCE, type Page, type PageRequest } from '../../contract/page.ts'
import { Stage, stagesOf, stateOf } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import type { RequestDocument } from './documents.ts'

/** Documents that one page may look at when its filter is one that no index serves: some milliseconds' worth. */
const EXAMINED_AT_MOST = 2_000

/** Documents that are read at once, at the least: some may not match. */
const READ_AT_LEAST = 50

/** More ranges of an index than this MongoDB does not merge but sorts; then documents are looked at one by one instead. */
const RANGES_AT_MOST = 100

interface Listing {
  /** What no index serves; `null` where the filter has nothing of the kind. */
  readonly matches: ((document: RequestDocument) => Promise<boolean>) | null
  /** Whether most documents do not match. */
  readonly rare: boolean
  /** In characters, of documents that may be large. */
  readonly sizeOf?: (document: RequestDocument) => number
  readonly projection: Document
}

/** Reads a page in order of id. Each document that an index leads to is looked at once more, for what the index does not know. */
export async function listRequestDocuments(
  connection: Connection,
  filter: JobFilter,
  { order, limit, after }: PageRequest,
  { matches, rare, sizeOf = () => 0, projection }: Listing,
): Promise<Page<RequestDocument>> {
  const source = await sourceOf(connection, filter)
  const span = await idSpan(connection, filter)
  const items: RequestDocument[] = []
  let position = after
  let size = 0
  for (let examined = 0; ; ) {
    const chunk = rare
      ? EXAMINED_AT_MOST + 1
      : Math.min(EXAMINED_AT_MOST, Math.max(limit - items.length, examined, READ_AT_LEAST)) + 1
    const documents = await connection.query('requests', {
      filter: { $and: [source, rangeOf(span, order, position)] },
      sort: { _id: order === 'asc' ? 1 : -1 },
      limit: chunk,
      projection,
    })
    for (const document of documents) {
      if (items.length === limit || examined === EXAMINED_AT_MOST || size >= CHARACTERS_AT_ONCE)
        return { items, next: position }
      examined++
      position = document._id
      if (!isMeant(document, filter) || (matches !== null && !(await matches(document)))) continue
      items.push(document)
      size += sizeOf(document)
    }
    if (documents.length < chunk) return { items, next: null }
  }
}

/** The part of a filter that an index serves in order of id. */
async function sourceOf(connection: Connection, { ids, label, queues, states }: JobFilter): Promise<Document> {
  if (ids !== undefined) return { _id: { $in: ids } }
  if (label !== undefined) return { terms: label }
  if (queues === undefined && states === undefined) return {}
  const names = queues ?? (await connection.find('queues', { filter: {}, projection: { _id: 1 } })).map(({ _id }) => _id)
  const stages = states === undefined ? Object.values(Stage) : [...new Set(states)].flatMap(stagesOf)
  return names.length * stages.length > RANGES_AT_MOST ? {} : { queue: { $in: names }, stage: { $in: stages } }
}

/** The part of a filter that the source may not have seen to. */
function isMeant({ deletedAt, queue, stage, terms }: RequestDocument, { queues, states, label }: JobFilter): boolean {
  if (deletedAt !== undefined) return false
  if (queues !== undefined && (queue === undefined || !queues.includes(queue))) return false
  if (states !== undefined && (stage === undefined || !states.includes(stateOf(stage)))) return false
  return label === undefined || (terms?.includes(label) ?? false)
}

interface Span {
  /** Inclusive; `null` for the very first. */
  readonly from: number | null
  /** Exclusive; `null` for beyond the very last. */
  readonly to: number | null
}

/** A span of creation times as a span of ids: the two rise together. */
async function idSpan(connection: Connection, { createdFrom, createdTo }: JobFilter): Promise<Span> {
  return {
    from: createdFrom === undefined ? null : await firstIdAt(connection, createdFrom),
    to: createdTo === undefined ? null : await firstIdAt(connection, createdTo),
  }
}

/** The lowest id that was received at `at` or later; infinity if none was. */
export async function firstIdAt(connection: Connection, at: Instant): Promise<number> {
  const query = {
    filter: { receivedAt: { $gte: at } },
    sort: { receivedAt: 1, _id: 1 },
    limit: 1,
    projection: { _id: 1 },
  } as const
  return (await connection.query('requests', query))[0]?._id ?? Number.POSITIVE_INFINITY
}

function rangeOf({ from, to }: Span, order: 'asc' | 'desc', after: number | null): Document {
  const conditions: Document[] = []
  if (from !== null) conditions.push({ _id: { $gte: from } })
  if (to !== null) conditions.push({ _id: { $lt: to } })
  if (after !== null) conditions.push({ _id: order === 'asc' ? { $gt: after } : { $lt: after } })
  return conditions.length === 0 ? {} : { $and: conditions }
}
