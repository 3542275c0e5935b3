import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { fromIso, type Instant } from '../../../lib/time.ts'
import { LOG_EVENT_FIELDS, type LogEventFilter } from '../../../model/log-event.ts'
import type { LogEventPlace } from '../../../storage/contract/log-events.ts'
import { NamePaging } from '../../cursor.ts'
import { misfit } from '../../validation.ts'

/** Query parameters as the router gives them: one that is repeated is a list, of which the last counts. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>

export const LARGEST_PAGE = 1_000

/** @throws `invalid_query` in the words of the validation that clients know. */
export function readSize(query: Query, fallback: number): number {
  const size = readInteger(query, 'size') ?? fallback
  if (size < 1) throw misfit('query', 'size', 'Input should be greater than 0')
  if (size > LARGEST_PAGE) throw misfit('query', 'size', `Input should be less than or equal to ${LARGEST_PAGE}`)
  return size
}

/** @throws `invalid_query` */
export function readFilter(query: Query): LogEventFilter {
  const fields = LOG_EVENT_FIELDS.map((field) => [field, last(query, field)] as const).filter(
    ([, value]) => value !== undefined,
  )
  return {
    type: last(query, 'type'),
    since: readInstant(query, 'since'),
    until: readInstant(query, 'until'),
    ...(fields.length > 0 && { fields: Object.fromEntries(fields) }),
  }
}

/** The part of a list that a query asks for. */
export interface PageQuery {
  readonly filter: LogEventFilter
  readonly order: 'asc' | 'desc'
  readonly size: number
  readonly from: number
  readonly after: LogEventPlace | number
  /** What leads on to the page that begins at a place. */
  cursorTo(next: LogEventPlace | null): string | null
}

/** @throws `invalid_query`, `invalid_cursor` */
export function readPage(query: Query): PageQuery {
  const filter = readFilter(query)
  const order = readOrder(query)
  const size = readSize(query, 100)
  const from = readInteger(query, 'from') ?? 0
  if (from < 0) throw misfit('query', 'from', 'Input should be greater than or equal to 0')
  const paging = new NamePaging('log events', { ...filter, fields: Object.entries(filter.fields ?? {}) })
  const page = paging.request({ limit: size, cursor: last(query, 'cursor'), order })
  return {
    filter,
    order,
    size,
    from,
    after: page.after === null ? from : readPlace(page.after),
    cursorTo: (next) => paging.next({ items: [], next: next === null ? null : `${next.at}.${next.sequence}` }, page),
  }
}

function readPlace(text: string): LogEventPlace {
  const [, at, sequence] = /^(-?\d{1,16})\.(\d{1,16})$/.exec(text) ?? []
  if (at === undefined || sequence === undefined) throw new OctoflowError('invalid_cursor')
  return { at: Number(at), sequence: Number(sequence) }
}

/** @throws `invalid_query` */
export function readOrder(query: Query): 'asc' | 'desc' {
  const order = last(query, 'order') ?? 'asc'
  if (order !== 'asc' && order !== 'desc') throw misfit('query', 'order', "Input should be 'asc' or 'desc'")
  return order
}

function readInstant(query: Query, name: string): Instant | undefined {
  const text = last(query, name)
  if (text === undefined) return undefined
  const at = fromIso(text)
  if (at === null) throw misfit('query', name, 'Input should be a valid datetime')
  return at
}

function readInteger(query: Query, name: string): number | undefined {
  const text = last(query, name)
  if (text === undefined) return undefined
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value))
    throw misfit('query', name, 'Input should be a valid integer, unable to parse string as an integer')
  return value
}

export const last = (query: Query, name: string): string | undefined => [query[name] ?? []].flat().at(-1)
