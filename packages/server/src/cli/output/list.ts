import type { ReadPage } from '../client/pages.ts'
import type { Session } from '../session.ts'
import { type Column, Table } from './table.ts'

interface ListView<Item> {
  readonly json: boolean | undefined
  readonly columns: readonly Column<Item>[]
  /** What to say where there is nothing to list. */
  readonly empty: string
}

/** Prints a list page by page, as they come: as a table, or as one JSON document `{"items":[…],"next":…}`. */
export async function printList<Item>(
  session: Session,
  pages: AsyncIterable<ReadPage<Item>>,
  { json, columns, empty }: ListView<Item>,
): Promise<void> {
  if (json) return printJson(session, pages)
  const table = new Table(session.out, columns)
  let next: string | null = null
  for await (const page of pages) {
    table.rows(page.items)
    next = page.next
  }
  if (!table.begun) session.out.line(empty)
  if (next !== null && session.out.isTerminal)
    session.err.line(session.err.paint('dim', 'There are more: --limit 500, or --all.'))
}

/**
 * Begins with the first page and ends with the last that came, so that an error never leaves half of a document. After one,
 * `next` is where the rest begins.
 */
async function printJson({ out }: Session, pages: AsyncIterable<ReadPage<unknown>>): Promise<void> {
  let head = '{"items":['
  let separator = ''
  let next: string | null = null
  try {
    for await (const page of pages) {
      const items = page.texts.join()
      out.jsonPart(items === '' ? head : head + separator + items)
      head = ''
      if (items !== '') separator = ','
      next = page.next
    }
  } finally {
    if (head === '') out.jsonPart(`],"next":${JSON.stringify(next)}}\n`)
  }
}
