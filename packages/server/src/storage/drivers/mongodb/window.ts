import type { Stored } from './documents.ts'

type Id = string | number

/** What comes in while nobody asks is left out from here on, and read when somebody does. */
const MOST = 5_000

/** The order of documents, and which of them are meant. */
export interface Criteria<Doc> {
  readonly matches: (document: Doc) => boolean
  readonly compare: (a: Doc, b: Doc) => number
}

/**
 * The first documents of a query's result, kept in memory: claim after claim takes the next ones, and none has to ask the
 * database.
 */
export class Window<Doc extends Stored> {
  readonly #criteria: Criteria<Doc>
  #documents: readonly Doc[]
  /** Whether these are all; else there may be others behind the last one. */
  #isWhole: boolean

  constructor(criteria: Criteria<Doc>, documents: readonly Doc[], isWhole: boolean) {
    this.#criteria = criteria
    this.#documents = documents
    this.#isWhole = isWhole
  }

  /**
   * The first documents as a transaction sees them.
   * @param changed what it has made of documents; `null` where it has deleted one.
   * @returns `null` where the window does not reach so far.
   */
  first(limit: number, changed: ReadonlyMap<Id, Doc | null>): readonly Doc[] | null {
    const documents = this.#with(changed)
    return documents.length < limit && !this.#isWhole ? null : documents.slice(0, limit)
  }

  /** All documents as a transaction sees them; `null` where there may be others. */
  all(changed: ReadonlyMap<Id, Doc | null>): readonly Doc[] | null {
    return this.#isWhole ? this.#with(changed) : null
  }

  /** Takes over what was committed. */
  update(changed: ReadonlyMap<Id, Doc | null>): void {
    const documents = this.#with(changed)
    this.#isWhole &&= documents.length <= MOST
    this.#documents = documents.length <= MOST ? documents : documents.slice(0, MOST)
  }

  #with(changed: ReadonlyMap<Id, Doc | null>): readonly Doc[] {
    const { matches, compare } = this.#criteria
    const documents = this.#documents.filter(({ _id }) => !changed.has(_id))
    const unchanged = documents.length
    for (const document of changed.values())
      if (document !== null && matches(document) && this.#reaches(document)) documents.push(document)
    return documents.length > unchanged ? documents.sort(compare) : documents
  }

  /** Whether a document, if it matches, stands in the window. */
  #reaches(document: Doc): boolean {
    if (this.#isWhole) return true
    const last = this.#documents.at(-1)
    return last !== undefined && this.#criteria.compare(document, last) <= 0
  }
}
