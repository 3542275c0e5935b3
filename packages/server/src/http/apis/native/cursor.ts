import { hash } from 'node:crypto'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Page, PageRequest } from '../../../storage/contract/page.ts'

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
export class Paging {
  readonly #list: string

  /** @param list what is listed, with its filters, in whatever order they were given. */
  constructor(list: string, filter: object = {}) {
    const filters = Object.entries(filter).sort(([a], [b]) => (a < b ? -1 : 1))
    this.#list = hash('sha1', JSON.stringify([list, filters]), 'base64url').slice(0, 8)
  }

  /** @throws `invalid_cursor` */
  request({ limit = DEFAULT_LIMIT, cursor, order = 'desc' }: PageParams): PageRequest {
    return { limit, order, after: cursor === undefined ? null : this.#read(cursor, order) }
  }

  /** What `next` is in the answer. */
  next({ next }: Page<unknown>, { order }: PageRequest): string | null {
    return next === null ? null : Buffer.from(`${this.#list}.${order}.${next}`).toString('base64url')
  }

  #read(cursor: string, order: 'asc' | 'desc'): number {
    const [list, cursorOrder, position = '', ...rest] = Buffer.from(cursor, 'base64url').toString('latin1').split('.')
    const after = /^\d{1,16}$/.test(position) ? Number(position) : Number.NaN
    const fits = list === this.#list && cursorOrder === order && rest.length === 0 && Number.isSafeInteger(after)
    if (!fits) throw new OctoflowError('invalid_cursor')
    return after
  }
}
