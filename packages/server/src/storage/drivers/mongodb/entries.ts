import { setTimeout as sleep } from 'node:timers/promises'
import type { Document } from 'mongodb'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Change } from './changes.ts'
import type { Connection } from './connection.ts'
import { isDuplicate, isNeverSent, isTrouble, mapError } from './errors.ts'
import type { Sequences } from './journal.ts'
import { cut, PART_LENGTH } from './texts.ts'

/**
 * A document of the journal.
 *
 * A commit is the document of its number. Where several servers want to write, a number is first taken as a `turn` and filled by
 * a document of its own, `:filled`, which is then the commit, or says that there is none. `:done` says that the changes are in
 * their places. Where that takes long, `:sign` after `:sign` says that somebody is at it. None of them is ever changed.
 */
export interface Entry {
  readonly _id: string
  readonly by: string
  /** Tells a repeated insert from another server's. */
  readonly token: string
  readonly turn?: true
  readonly sequences?: Sequences
  /** JSON; or in how many documents of the collection `parts` it stands. None of a turn that was given up. */
  readonly changes?: string | number
}

/** How long it is tried to find out what became of an entry whose answer was lost. */
const UNCERTAIN_FOR_MS = 8_000
const RETRY_MS = 100

export const slot = (number: number): string => String(number).padStart(16, '0')
export const filled = (number: number): string => `${slot(number)}:filled`
/** Tells, by being one more of its kind, that the server which has the number is alive and at work. */
export const sign = (number: number, count: number): string => `${slot(number)}:sign:${count}`
export const done = (number: number): string => `${slot(number)}:done`

/** The documents of the journal: written once, read, and deleted when they are old. */
export class Entries {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async read(_id: string): Promise<Entry | null> {
    return this.#connection.run(async () => (await this.#journal()).findOne({ _id } as Document)) as Promise<Entry | null>
  }

  /** What there is of so many numbers, from `first` on, by `_id`. */
  async readMany(first: number, count: number): Promise<Map<string, Entry>> {
    const numbers = Array.from({ length: count }, (_, index) => first + index)
    const _id = { $in: numbers.flatMap((number) => [slot(number), filled(number), done(number)]) }
    const found = await this.#connection.run(async () => (await this.#journal()).find({ _id } as Document).toArray())
    return new Map((found as unknown as Entry[]).map((entry) => [entry._id, entry]))
  }

  /** The highest number that was taken; 0 in the beginning. */
  async newest(): Promise<number> {
    const [last] = await this.#connection.run(async () =>
      (await this.#journal()).find({}, { sort: { _id: -1 }, limit: 1, projection: { _id: 1 } }).toArray(),
    )
    return last === undefined ? 0 : Number.parseInt(String(last._id), 10)
  }

  /**
   * Inserts an entry, however often that takes to know whether it is there.
   * @returns `false` where there is another's.
   * @throws `storage_outcome_unknown` when it cannot be found out.
   */
  async insert(entry: Entry): Promise<boolean> {
    const began = performance.now()
    for (let sent = false; ; ) {
      try {
        await (await this.#journal()).insertOne(entry as unknown as Document)
        return true
      } catch (error) {
        if (isDuplicate(error)) {
          const there = sent ? await this.read(entry._id) : null
          return there?.token === entry.token
        }
        sent ||= !isNeverSent(error)
        const mapped = mapError(error)
        if (!sent || !isTrouble(mapped)) throw mapped
        if (performance.now() - began > UNCERTAIN_FOR_MS)
          throw new OctoflowError('storage_outcome_unknown', {}, { cause: error })
        await sleep(RETRY_MS)
      }
    }
  }

  /** Deletes what stands before a number. */
  async deleteBefore(number: number): Promise<void> {
    const filter = { _id: { $lt: slot(number) } } as Document
    await this.#connection.run(async () => (await this.#journal()).deleteMany(filter))
  }

  /** @returns what goes into an entry: the text, or how many parts it was cut into. */
  async writeChanges(token: string, changes: string): Promise<string | number> {
    const texts = cut(changes, PART_LENGTH)
    if (texts.length <= 1) return changes
    const names = partNames(token, texts.length)
    for (const [index, text] of texts.entries())
      await this.#connection.run(async () => (await this.#parts()).insertOne({ _id: names[index]!, text } as Document))
    return texts.length
  }

  /** @returns `null` where there is nothing to be done, or no more. */
  async changesOf({ token, changes }: Entry): Promise<readonly Change[] | null> {
    if (changes === undefined) return null
    if (typeof changes === 'string') return JSON.parse(changes)
    const names = partNames(token, changes)
    const parts = await this.#connection.run(async () =>
      (await this.#parts()).find({ _id: { $in: names } } as Document).toArray(),
    )
    // Who has carried out a commit deletes its parts.
    if (parts.length < changes) return null
    const texts = new Map(parts.map(({ _id, text }) => [String(_id), text as string]))
    return JSON.parse(names.map((name) => texts.get(name)).join(''))
  }

  async deleteParts({ token, changes }: Entry): Promise<void> {
    if (typeof changes !== 'number') return
    const filter = { _id: { $in: partNames(token, changes) } } as Document
    await this.#connection.run(async () => (await this.#parts()).deleteMany(filter))
  }

  #journal() {
    return this.#connection.collection('journal')
  }

  #parts() {
    return this.#connection.collection('parts')
  }
}

const partNames = (token: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${token}:${index}`)
