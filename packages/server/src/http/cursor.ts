import { hash } from 'node:crypto'
import { OctoflowError } from '../errors/octoflow-error.ts'
import type { Page, PageRequest } from '../storage/contract/page.ts'

interface PageParams {
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
  readonly order?: 'asc' | 'desc' | undefined
}

const DEFAULT_LIMIT = 50

/**
 * Cursors are opaque and belong to the list that gave them: one taken to another list, filter or order is refused rather
 * than giving a page that makes no sense.
 */
abstract class ListPaging<Position extends number | string> {
  readonly #list: string

  /** @param list what is listed, with its filters, in whatever order they were given. */
  constructor(list: string, filter: object = {}) {
    const filters = Object.entries(filter).sort(([a], [b]) => (a < b ? -1 : 1))
    this.#list = hash('sha1', JSON.stringify([list, filters]), 'base64url').slice(0, 8)
  }

  /** @throws `invalid_cursor` */
  request({ limit = DEFAULT_LIMIT, cursor, order = 'desc' }: PageParams): PageRequest<Position> {
    return { limit, order, after: cursor === undefined ? null : this.#read(cursor, order) }
  }

  /** What `next` is in the answer. */
  next({ next }: Page<unknown, Position>, { order }: PageRequest<Position>): string | null {
    return next === null ? null : Buffer.from(`${this.#list}.${order}.${next}`).toString('base64url')
  }

  /** @returns `null` for a text that is no position. */
  protected abstract readPosition(text: string): Position | null

  #read(cursor: string, order: 'asc' | 'desc'): Position {
    const text = Buffer.from(cursor, 'base64url').toString()
    const beginning = `${this.#list}.${order}.`
    const position = text.startsWith(beginning) ? this.readPosition(text.slice(beginning.length)) : null
    if (position === null) throw new OctoflowError('invalid_cursor')
    return position
  }
}

/** Of a list in order of number. */
export class Paging extends ListPaging<number> {
  protected override readPosition(text: string): number | null {
    const position = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    return Number.isSafeInteger(position) ? position : null
  }
}

/** Of a list in order of name. */
export class NamePaging extends ListPaging<string> {
  protected override readPosition(text: string): string | null {
    return text === '' ? null : text
  }
}
