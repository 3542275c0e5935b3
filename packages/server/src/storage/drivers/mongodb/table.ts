import type { Document } from 'mongodb'
import type { Instant } from '../../../lib/time.ts'
import type { Change } from './changes.ts'
import type { Connection, Query } from './connection.ts'
import type { CollectionName, Collections } from './documents.ts'
import { type Criteria, Window } from './window.ts'

type Id = string | number

/** New values of fields; `null` removes the field. */
export type Fields<Doc> = { readonly [Name in Exclude<keyof Doc, '_id' | 'commit'>]?: Doc[Name] | null }

/** Which documents are wanted, once for the database and once for those that the transaction has changed. */
export interface Selection<Doc> extends Criteria<Doc> {
  readonly filter: Document
  readonly sort: Readonly<Record<string, 1 | -1>>
  /** Left out for all of them. */
  readonly limit?: number
}

/** What a transaction makes of a document; `null` where there is none. */
interface Revision<Doc> {
  readonly before: Doc | null
  after: Doc | null
  /** When it was deleted; `null` where nothing is to be left of it. */
  deletedAt: Instant | null
}

/** Documents kept in memory after a commit, where they are read again. */
const KEPT = 10_000

/** Documents read for later, and selections for which that is done. */
const READ_AHEAD = 200
const WINDOWS_KEPT = 1_000

/**
 * One collection as the writer sees it: what the database holds after the last commit, and on top of it what the transaction
 * under way has changed.
 *
 * Whatever was read stays right until somebody commits, and the journal tells when another server has; so documents are read
 * once and kept. What a worker holds is settled without reading it again.
 */
export class Table<Name extends CollectionName> {
  readonly name: Name
  readonly #connection: Connection
  readonly #mostKept: number
  readonly #kept = new Map<Id, Collections[Name] | null>()
  readonly #revisions = new Map<Id, Revision<Collections[Name]>>()
  readonly #windows = new Map<string, Window<Collections[Name]>>()

  constructor(name: Name, connection: Connection, mostKept: number = KEPT) {
    this.name = name
    this.#connection = connection
    this.#mostKept = mostKept
  }

  async get(id: Id): Promise<Collections[Name] | null> {
    const known = this.#known(id)
    if (known !== undefined) return known
    await this.load([id])
    return this.#known(id) ?? null
  }

  /** Reads at once what `get` is going to be asked for. */
  async load(ids: readonly Id[]): Promise<void> {
    const unknown = [...new Set(ids)].filter((id) => this.#known(id) === undefined)
    if (unknown.length === 0) return
    const found = await this.#connection.findByIds(this.name, unknown)
    for (const id of unknown) this.#kept.set(id, null)
    for (const document of found) this.#kept.set(document._id, document)
  }

  async find({ filter, matches, sort, compare, limit }: Selection<Collections[Name]>): Promise<Collections[Name][]> {
    // So many of those found may have been changed by the transaction, and match no more.
    const spare = this.#revisions.size
    const found = await this.#query({ filter, sort, ...(limit !== undefined && { limit: limit + spare }) })
    if (spare === 0) return found
    const unchanged = found.filter(({ _id }) => !this.#revisions.has(_id))
    const changed = [...this.#revisions.values()].flatMap(({ after }) => (after !== null && matches(after) ? [after] : []))
    return [...unchanged, ...changed].sort(compare).slice(0, limit)
  }

  /**
   * The same for what is asked for again and again: more is read than is wanted now, and kept.
   * @param name of the selection, whatever its limit.
   */
  async first(
    name: string,
    selection: Selection<Collections[Name]> & { readonly limit: number },
  ): Promise<readonly Collections[Name][]> {
    const { filter, sort, limit } = selection
    const changed = this.#changed()
    const known = this.#windows.get(name)?.first(limit, changed) ?? null
    if (known !== null) return known
    // With one more, as many as two claims ask for are known to be all: then what is submitted next need not be read.
    const wanted = Math.max(READ_AHEAD, 2 * limit) + changed.size + 1
    const found = await this.#query({ filter, sort, limit: wanted })
    const window = new Window(selection, found, found.length < wanted)
    this.#keepWindow(name, window)
    return window.first(limit, changed)!
  }

  /**
   * All documents of several selections that are asked for again and again, by name.
   * @param filterOf gives the filter for those of the named selections, which are in the same order.
   * @param nameOf tells to which a document belongs.
   */
  async all(
    selections: ReadonlyMap<string, Selection<Collections[Name]>>,
    filterOf: (names: readonly string[]) => Document,
    nameOf: (document: Collections[Name]) => string,
  ): Promise<Map<string, readonly Collections[Name][]>> {
    const changed = this.#changed()
    const found = new Map<string, readonly Collections[Name][]>()
    const unknown: string[] = []
    for (const name of selections.keys()) {
      const known = this.#windows.get(name)?.all(changed) ?? null
      if (known === null) unknown.push(name)
      else found.set(name, known)
    }
    if (unknown.length === 0) return found
    const [{ sort }] = [...selections.values()] as [Selection<Collections[Name]>]
    const read = Map.groupBy(await this.#query({ filter: filterOf(unknown), sort }), nameOf)
    for (const name of unknown) {
      const window = new Window(selections.get(name)!, read.get(name) ?? [], true)
      this.#keepWindow(name, window)
      found.set(name, window.all(changed)!)
    }
    return found
  }

  /** What the transaction under way has inserted under an `_id`. */
  inserted(id: Id): Collections[Name] | null {
    return this.#revisions.get(id)?.after ?? null
  }

  /** A document under an `_id` that was never used before. */
  insert(document: Collections[Name]): void {
    this.#revisions.set(document._id, { before: null, after: document, deletedAt: null })
  }

  /** A document under an `_id` that may have been used before. Where it was read, takes the place of what was there. */
  put(document: Collections[Name]): void {
    const { _id } = document
    const revision = this.#revisions.get(_id)
    const before = revision === undefined ? (this.#kept.get(_id) ?? (GONE as Collections[Name])) : revision.before
    this.#revisions.set(_id, { before, after: document, deletedAt: null })
  }

  update(id: Id, fields: Fields<Collections[Name]>): Collections[Name] {
    const document = this.#known(id)
    if (document === null || document === undefined) throw new Error(`${this.name} ${id} was not read before it was changed`)
    return this.#revise(id, document, withFields(document, fields))
  }

  /** Deletes a document whose return, by the late write of a server that was stopped half-way, would do harm. */
  delete(id: Id, now: Instant): void {
    this.erase(id)
    const revision = this.#revisions.get(id)
    if (revision !== undefined) revision.deletedAt = now
  }

  /** Deletes a document of which nothing need be left. */
  erase(id: Id): void {
    const document = this.#known(id)
    if (document !== null && document !== undefined) this.#revise(id, document, null)
  }

  changes(): Change[] {
    const { name: table } = this
    const inserted: Collections[Name][] = []
    const put: Collections[Name][] = []
    const erased: Id[] = []
    const updates = new Map<string, { readonly ids: Id[]; readonly fields: Readonly<Record<string, unknown>> }>()
    const update = (id: Id, fields: Readonly<Record<string, unknown>>): void => {
      // Most jobs of a claim or a report change in the same way, and are told of in one change.
      const key = JSON.stringify(fields)
      const same = updates.get(key)
      if (same !== undefined) same.ids.push(id)
      else if (key !== '{}') updates.set(key, { ids: [id], fields })
    }
    for (const [id, { before, after, deletedAt }] of this.#revisions) {
      if (before === null) {
        if (after !== null) inserted.push(after)
      } else if (before === GONE) {
        if (after !== null) put.push(after)
      } else if (after !== null) update(id, difference(before, after))
      else if (deletedAt !== null) update(id, { ...difference(before, GONE), deletedAt })
      else erased.push(id)
    }
    return [
      ...(inserted.length > 0 ? [{ kind: 'insert', table, documents: inserted } as const] : []),
      ...(put.length > 0 ? [{ kind: 'put', table, documents: put } as const] : []),
      ...[...updates.values()].map(({ ids, fields }) => ({ kind: 'update', table, ids, fields }) as const),
      ...(erased.length > 0 ? [{ kind: 'drop', table, field: '_id', values: erased } as const] : []),
    ]
  }

  /** What was changed is stored. */
  commit(): void {
    const changed = this.#changed()
    this.#revisions.clear()
    this.#take(changed)
  }

  /** What another server has committed. */
  adopt(change: Change): void {
    if (change.kind === 'insert' || change.kind === 'put') {
      this.#take(new Map((change.documents as readonly Collections[Name][]).map((document) => [document._id, document])))
    } else if (change.kind === 'update') {
      const known = change.ids.filter((id) => this.#kept.get(id) !== undefined && this.#kept.get(id) !== null)
      // A document that is not known may belong into a window now.
      if (known.length < change.ids.length) this.#windows.clear()
      const isGone = 'deletedAt' in change.fields
      this.#take(new Map(known.map((id) => [id, isGone ? null : withFields(this.#kept.get(id)!, change.fields)])))
    } else if (change.field === '_id') this.#take(new Map(change.values.map((id) => [id, null])))
  }

  rollback(): void {
    this.#revisions.clear()
  }

  /** Another server has committed: what is kept may be of before. */
  forget(): void {
    this.#revisions.clear()
    this.#kept.clear()
    this.#windows.clear()
  }

  async #query(query: Query): Promise<Collections[Name][]> {
    return (await this.#connection.find(this.name, query)).map((document) => this.#keep(document))
  }

  /** In the place of the oldest one, where there is no room for more. */
  #keepWindow(name: string, window: Window<Collections[Name]>): void {
    this.#windows.delete(name)
    if (this.#windows.size >= WINDOWS_KEPT) this.#windows.delete(this.#windows.keys().next().value!)
    this.#windows.set(name, window)
  }

  #known(id: Id): Collections[Name] | null | undefined {
    const revision = this.#revisions.get(id)
    return revision === undefined ? this.#kept.get(id) : revision.after
  }

  #changed(): Map<Id, Collections[Name] | null> {
    return new Map([...this.#revisions].map(([id, { after }]) => [id, after]))
  }

  /** Keeps what was committed, and no more than there is room for. */
  #take(changed: ReadonlyMap<Id, Collections[Name] | null>): void {
    for (const window of this.#windows.values()) window.update(changed)
    for (const [id, document] of changed) {
      this.#kept.delete(id)
      this.#kept.set(id, document)
    }
    for (const id of this.#kept.keys()) {
      if (this.#kept.size <= this.#mostKept) break
      this.#kept.delete(id)
    }
  }

  #keep(document: Collections[Name]): Collections[Name] {
    const kept = this.#kept.get(document._id)
    if (kept !== null && kept !== undefined) return kept
    this.#kept.set(document._id, document)
    return document
  }

  #revise(id: Id, before: Collections[Name], after: Collections[Name] | null): Collections[Name] {
    const revision = this.#revisions.get(id)
    if (revision === undefined) this.#revisions.set(id, { before, after, deletedAt: null })
    else revision.after = after
    return after ?? before
  }
}

/** Stands for a document that there was, perhaps, and is not any more. */
const GONE = Object.freeze({ _id: '' })

function withFields<Doc extends object>(document: Doc, fields: object): Doc {
  const changed = { ...document } as Record<string, unknown>
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined) delete changed[name]
    else changed[name] = value
  }
  return changed as Doc
}

/** The fields that differ; `null` for those that are gone. */
function difference(before: object, after: object): Record<string, unknown> {
  const was = before as Record<string, unknown>
  const is = after as Record<string, unknown>
  const fields: Record<string, unknown> = {}
  for (const name of Object.keys(is)) if (is[name] !== was[name]) fields[name] = is[name]
  for (const name of Object.keys(was)) if (!(name in is)) fields[name] = null
  const { _id, commit, ...changed } = fields
  return changed
}
