import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Document } from 'mongodb'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { apply, type Change } from './changes.ts'
import type { Connection } from './connection.ts'
import { isDuplicate, isNeverSent, isTrouble, mapError } from './errors.ts'
import { cut, PART_LENGTH } from './texts.ts'

/** Numbers that are given once and never again. */
export interface Sequences {
  /** The id of the next request, and when the last one counts as received. */
  request: number
  receivedAt: Instant
  event: number
  operation: number
  text: number
}

/** What a commit does to the database. */
export interface Commit {
  readonly changes: readonly Change[]
  readonly sequences: Sequences
}

/** The last commit whose changes are all in their places. */
export interface Head {
  readonly number: number
  readonly sequences: Sequences
}

export const BEGINNING: Head = { number: 0, sequences: { request: 1, receivedAt: 0, event: 1, operation: 1, text: 1 } }

/**
 * A document of the journal.
 *
 * A commit is the document of its number. Where several servers want to write, a number is first taken as a `turn` and filled by
 * a document of its own, `:filled`, which is then the commit, or says that there is none. `:done` says that the changes are in
 * their places.
 */
interface Entry {
  readonly _id: string
  readonly by: string
  /** Tells a repeated insert from another server's. */
  readonly token: string
  readonly turn?: true
  readonly sequences?: Sequences
  /** JSON; or in how many documents of the collection `parts` it stands. None of a turn that was given up. */
  readonly changes?: string | number
}

/** How long a server waits for another to finish what it has begun, before it does so in its place. */
const PATIENCE_MS = 5_000
/** Entries stay for so long, and so many always. */
const RETENTION_MS = 10_000
const MARGIN_MS = 2_000
const KEPT_ENTRIES = 64
/** How long it is tried to find out what became of a commit whose answer was lost. */
const UNCERTAIN_FOR_MS = 10_000
const CARRIED_OUT_WITHIN_MS = 30_000
const RETRY_MS = 100
const SHORTEST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 30
/** Who has missed more commits than this reads anew what it needs. */
const CAUGHT_UP_WITH = 16
const TRUNCATE_EVERY_MS = 1_000

const key = (number: number): string => String(number).padStart(16, '0')

/**
 * The order of all commits, of all servers. To insert the document of the next number is to commit: the database takes one
 * document with an `_id`, whoever else tries. What it says is then carried out on the other collections, which may be done any
 * number of times; and nobody takes the number after it before that is done. So every server computes what it commits from all that
 * was committed before, and what a crashed server had committed is carried out by the next one that wants to write.
 *
 * It asks nothing of the database but that an insert is atomic and `_id`s are unique.
 */
export class Journal {
  readonly #connection: Connection
  readonly #server = randomUUID()
  #head: Head | null = null
  /** Whether other servers may rely on the head without waiting. */
  #announced = true
  #turn: number | null = null
  /** The highest number that is known to be taken, and how long ago it was the newest. */
  #seen = 0
  #age = new Age()
  #truncatedAt = 0
  #truncatable: { readonly at: number; readonly number: number }[] = []

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** The state on which the next commit builds. */
  async head(): Promise<Head> {
    if (this.#head === null) {
      const newest = await this.#newest()
      this.#head = newest === 0 ? BEGINNING : await this.#complete(newest)
      this.#announced = newest === 0
    }
    return this.#head
  }

  /** Commits and carries out. @returns `false` where another server was first; then nothing is stored. */
  async append(commit: Commit): Promise<boolean> {
    const head = await this.head()
    if (!(await this.isCurrent())) return false
    const number = this.#turn ?? head.number + 1
    const token = randomUUID()
    const entry = {
      _id: this.#turn === null ? key(number) : `${key(number)}:filled`,
      by: this.#server,
      token,
      sequences: commit.sequences,
      changes: await this.#write(token, JSON.stringify(commit.changes)),
    }
    const begun = new Age()
    if (!(await this.#insert(entry))) {
      this.#turn = null
      return false
    }
    if (await this.#isOutdated(number, begun)) throw new OctoflowError('storage_outcome_unknown')
    await this.#carryOut(number, commit.changes, entry)
    this.#head = { number, sequences: commit.sequences }
    this.#announced = false
    if (this.#turn !== null) {
      this.#turn = null
      await this.announce()
    }
    this.#truncate(number)
    return true
  }

  /** Whether nobody has committed since the head, as far as is known without an attempt. */
  async isCurrent(): Promise<boolean> {
    const { number } = await this.head()
    if (this.#turn !== null || !this.#age.over(RETENTION_MS / 2)) return true
    return (await this.#newest()) === number
  }

  /** Whether nobody has committed since the head. */
  async isUnchanged(): Promise<boolean> {
    const { number } = await this.head()
    return (await this.isCurrent()) && (this.#turn !== null || (await this.#read(key(number + 1))) === null)
  }

  /**
   * Waits until it is this server's turn, with a new head.
   * @returns what was committed since the last head, in order; `null` where that cannot be told any more.
   */
  async takeTurn(): Promise<readonly Change[] | null> {
    const { number: from } = await this.head()
    await this.announce()
    let number = from
    let begun: Age
    do {
      begun = new Age()
      number = Math.max(number, this.#age.over(RETENTION_MS / 2) ? await this.#newest() : this.#seen)
      do number++
      while (!(await this.#insert({ _id: key(number), by: this.#server, token: randomUUID(), turn: true })))
    } while (await this.#isOutdated(number, begun))
    this.#turn = number
    this.#head = number === 1 ? BEGINNING : await this.#complete(number - 1)
    return this.#changesBetween(from, number)
  }

  /** Gives up a turn that nothing came of. */
  async pass(): Promise<void> {
    if (this.#turn === null) return
    const number = this.#turn
    this.#turn = null
    const { sequences } = this.#head!
    await this.#insert({ _id: `${key(number)}:filled`, by: this.#server, token: randomUUID(), sequences })
    this.#head = await this.#complete(number)
  }

  /** Lets other servers rely on the head. To be called whenever nothing is left to be written. */
  async announce(): Promise<void> {
    if (this.#announced || this.#head === null) return
    this.#announced = true
    await this.#markDone(this.#head.number)
  }

  /** Begins anew from what the database holds, after trouble. */
  reset(): void {
    this.#head = null
    this.#turn = null
  }

  /** The head that `number` makes, once its changes are in their places. */
  async #complete(number: number): Promise<Head> {
    const began = performance.now()
    for (let asked = 0, pause = SHORTEST_PAUSE_MS; ; asked++, pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const done = await this.#read(`${key(number)}:done`)
      // Most of the time that document is all that is missing, and to ask for one is cheap.
      if (done !== null || asked % 8 === 0) {
        const [entry, next] = await Promise.all([this.#commitOf(number), this.#read(key(number + 1))])
        // Who commits without having taken a turn has carried out the commit before.
        if (entry !== null && (done !== null || (next !== null && next.turn === undefined)))
          return { number, sequences: entry.sequences! }
        if (entry?.by === this.#server || performance.now() - began > PATIENCE_MS) return this.#finish(number, entry)
      }
      await sleep(pause)
    }
  }

  /** The entry that holds the commit of a number; `null` while there is none. */
  async #commitOf(number: number): Promise<Entry | null> {
    const slot = await this.#read(key(number))
    return slot?.turn === true ? this.#read(`${key(number)}:filled`) : slot
  }

  /** The changes of the commits after `from` and before `to`. */
  async #changesBetween(from: number, to: number): Promise<readonly Change[] | null> {
    if (to - from > CAUGHT_UP_WITH) return null
    const changes: Change[] = []
    for (let number = from + 1; number < to; number++) {
      const entry = await this.#commitOf(number)
      const own = entry === null ? null : entry.changes === undefined ? [] : await this.#changesOf(entry)
      if (own === null) return null
      changes.push(...own)
    }
    return changes
  }

  /** Does in the place of another server what that has not done. */
  async #finish(number: number, entry: Entry | null): Promise<Head> {
    if (entry === null) {
      if ((await this.#read(key(number))) === null)
        throw new OctoflowError('storage_corrupt', { reason: `the journal has no entry ${number}` })
      const { sequences } = number === 1 ? BEGINNING : await this.#complete(number - 1)
      await this.#insert({ _id: `${key(number)}:filled`, by: this.#server, token: randomUUID(), sequences })
      return this.#complete(number)
    }
    const changes = await this.#changesOf(entry)
    if (changes !== null) await this.#carryOut(number, changes, entry)
    await this.#markDone(number)
    return { number, sequences: entry.sequences! }
  }

  /** What is committed has to be carried out, so it is tried until the database can do it; in the end, by whoever comes next. */
  async #carryOut(number: number, changes: readonly Change[], { token, changes: text }: Entry): Promise<void> {
    for (const began = performance.now(); ; ) {
      try {
        await apply(this.#connection, number, changes)
        if (typeof text === 'number')
          await (await this.#connection.collection('parts')).deleteMany({ _id: { $in: partNames(token, text) } } as Document)
        return
      } catch (error) {
        if (!isTrouble(error)) throw error
        if (performance.now() - began > CARRIED_OUT_WITHIN_MS)
          throw new OctoflowError('storage_outcome_unknown', {}, { cause: error })
        await sleep(RETRY_MS)
      }
    }
  }

  /** @returns what goes into the entry: the text, or how many parts it was cut into. */
  async #write(token: string, changes: string): Promise<string | number> {
    const texts = cut(changes, PART_LENGTH)
    if (texts.length <= 1) return changes
    const names = partNames(token, texts.length)
    for (const [index, text] of texts.entries())
      await this.#connection.run(async () =>
        (await this.#connection.collection('parts')).insertOne({ _id: names[index]!, text } as Document),
      )
    return texts.length
  }

  /** @returns `null` where there is nothing to be done, or no more. */
  async #changesOf({ token, changes }: Entry): Promise<readonly Change[] | null> {
    if (changes === undefined) return null
    if (typeof changes === 'string') return JSON.parse(changes)
    const names = partNames(token, changes)
    const parts = await this.#connection.run(async () =>
      (await this.#connection.collection('parts')).find({ _id: { $in: names } } as Document).toArray(),
    )
    // Who has carried out a commit deletes its parts.
    if (parts.length < changes) return null
    const texts = new Map(parts.map(({ _id, text }) => [String(_id), text as string]))
    return JSON.parse(names.map((name) => texts.get(name)).join(''))
  }

  /**
   * Inserts an entry, however often that takes to know whether it is there.
   * @returns `false` where there is another's.
   * @throws `storage_outcome_unknown` when it cannot be found out.
   */
  async #insert(entry: Entry): Promise<boolean> {
    const began = performance.now()
    for (let sent = false; ; ) {
      try {
        const journal = await this.#connection.collection('journal')
        await journal.insertOne(entry as unknown as Document)
        return true
      } catch (error) {
        if (isDuplicate(error)) {
          const there = sent ? await this.#read(entry._id) : null
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

  async #markDone(number: number): Promise<void> {
    await this.#insert({ _id: `${key(number)}:done`, by: this.#server, token: randomUUID() })
  }

  async #read(_id: string): Promise<Entry | null> {
    return this.#connection.run(async () =>
      (await this.#connection.collection('journal')).findOne({ _id } as Document),
    ) as Promise<Entry | null>
  }

  /** The highest number that was taken; 0 in the beginning. */
  async #newest(): Promise<number> {
    const age = new Age()
    const [last] = await this.#connection.run(async () =>
      (await this.#connection.collection('journal'))
        .find({}, { sort: { _id: -1 }, limit: 1, projection: { _id: 1 } })
        .toArray(),
    )
    this.#age = age
    this.#seen = last === undefined ? 0 : Number.parseInt(String(last._id), 10)
    return this.#seen
  }

  /**
   * Whether a number that was just taken had been taken long ago: to a server that was stopped for so long that the entries after
   * its head are deleted, it seems to be free. What is so old is passed by in all that follows.
   */
  async #isOutdated(number: number, begun: Age): Promise<boolean> {
    if (!this.#age.over(RETENTION_MS - MARGIN_MS)) {
      this.#age = begun
      this.#seen = number
      return false
    }
    return (await this.#newest()) - number >= KEPT_ENTRIES
  }

  /** Deletes entries that nobody needs any more, beside the writing. */
  #truncate(number: number): void {
    const now = performance.now()
    if (now - this.#truncatedAt < TRUNCATE_EVERY_MS) return
    this.#truncatedAt = now
    const old = this.#truncatable.findLast(({ at }) => now - at > RETENTION_MS)
    this.#truncatable = [
      ...this.#truncatable.filter(({ at }) => now - at <= RETENTION_MS),
      { at: now, number: number - KEPT_ENTRIES },
    ]
    if (old === undefined || old.number <= 0) return
    const filter = { _id: { $lt: key(old.number) } } as Document
    void this.#connection
      .run(async () => (await this.#connection.collection('journal')).deleteMany(filter))
      .catch(() => undefined)
  }
}

/** How long ago something was; by both clocks, as either may stand still or be set back. */
class Age {
  readonly #monotonic = performance.now()
  readonly #timeOfDay = Date.now()

  over(milliseconds: number): boolean {
    return performance.now() - this.#monotonic > milliseconds || Date.now() - this.#timeOfDay > milliseconds
  }
}

const partNames = (token: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${token}:${index}`)
