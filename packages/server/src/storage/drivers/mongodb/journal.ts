import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { apply, type Change } from './changes.ts'
import type { Connection } from './connection.ts'
import { done, Entries, type Entry, filled, sign, slot } from './entries.ts'
import { isTrouble } from './errors.ts'

/** Numbers that are given once and never again. */
export interface Sequences {
  /** The id of the next request, and when the last one counts as received. */
  request: number
  receivedAt: Instant
  event: number
  operation: number
  text: number
  logEvent: number
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

export const BEGINNING: Head = {
  number: 0,
  sequences: { request: 1, receivedAt: 0, event: 1, operation: 1, text: 1, logEvent: 1 },
}

/**
 * How long a server that waits for another goes without a sign of life before it finishes in its place what that has begun. One
 * that is merely slow gives several in that time, and should none arrive, no harm is done but the work twice.
 */
const PATIENCE_MS = 1_500
const SIGN_EVERY_MS = 300
/** Entries stay for so long, and so many always. */
const RETENTION_MS = 10_000
const MARGIN_MS = 2_000
const KEPT_ENTRIES = 64
/** How long it is tried to carry out a commit, before that is left to whoever writes next. */
const CARRIED_OUT_WITHIN_MS = 8_000
const RETRY_MS = 100
const SHORTEST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 30
/** Who has missed more commits than this reads anew what it needs. */
const CAUGHT_UP_WITH = 16
const TRUNCATE_EVERY_MS = 1_000

const NO_ENTRIES: ReadonlyMap<string, Entry> = new Map()

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
  readonly #entries: Entries
  readonly #server = randomUUID()
  #head: Head | null = null
  /** Whether other servers may rely on the head without waiting. */
  #announced = true
  #turn: number | null = null
  /** Gives signs of life while others wait for what this server has begun. */
  #signs: NodeJS.Timeout | null = null
  /** The highest number that is known to be taken, and how long ago it was the newest. */
  #seen = 0
  #age = new Age()
  #truncatedAt = 0
  #truncatable: { readonly at: number; readonly number: number }[] = []

  constructor(connection: Connection) {
    this.#connection = connection
    this.#entries = new Entries(connection)
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
      _id: this.#turn === null ? slot(number) : filled(number),
      by: this.#server,
      token,
      sequences: commit.sequences,
      changes: await this.#entries.writeChanges(token, JSON.stringify(commit.changes)),
    }
    const begun = new Age()
    if (!(await this.#entries.insert(entry))) {
      this.#turn = null
      return false
    }
    if (await this.#isOutdated(number, begun)) throw new OctoflowError('storage_outcome_unknown')
    if (this.#turn === null) this.#sign(number)
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
    return (await this.isCurrent()) && (this.#turn !== null || (await this.#entries.read(slot(number + 1))) === null)
  }

  /**
   * Waits until it is this server's turn, with a new head.
   * @returns what was committed since the last head, in order; `null` where that cannot be told any more.
   */
  async takeTurn(): Promise<readonly Change[] | null> {
    const { number: from } = await this.head()
    await this.announce()
    const since = await this.#entries.readMany(from + 1, CAUGHT_UP_WITH)
    let number = from
    while (since.has(slot(number + 1))) number++
    if (number === from + CAUGHT_UP_WITH) await this.#newest()
    let begun: Age
    do {
      begun = new Age()
      number = Math.max(number, this.#age.over(RETENTION_MS / 2) ? await this.#newest() : this.#seen)
      do number++
      while (!(await this.#entries.insert({ _id: slot(number), by: this.#server, token: randomUUID(), turn: true })))
    } while (await this.#isOutdated(number, begun))
    this.#turn = number
    this.#sign(number)
    this.#head = number === 1 ? BEGINNING : await this.#complete(number - 1, since)
    return this.#changesBetween(from, number, since)
  }

  /** Gives up a turn that nothing came of. */
  async pass(): Promise<void> {
    if (this.#turn === null) return
    this.#cease()
    const number = this.#turn
    this.#turn = null
    const { sequences } = this.#head!
    await this.#entries.insert({ _id: filled(number), by: this.#server, token: randomUUID(), sequences })
    this.#head = await this.#complete(number)
  }

  /** Lets other servers rely on the head. To be called whenever nothing is left to be written. */
  async announce(): Promise<void> {
    if (this.#announced || this.#head === null) return
    this.#cease()
    this.#announced = true
    await this.#markDone(this.#head.number)
  }

  /** Begins anew from what the database holds, after trouble. */
  reset(): void {
    this.#cease()
    this.#head = null
    this.#turn = null
  }

  /**
   * The head that `number` makes, once its changes are in their places.
   * @param known entries that were read before.
   */
  async #complete(number: number, known: ReadonlyMap<string, Entry> = NO_ENTRIES): Promise<Head> {
    let heardAt = performance.now()
    let signs = 0
    for (let asked = 0, pause = SHORTEST_PAUSE_MS; ; asked++, pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const isDone = known.has(done(number)) || (await this.#entries.read(done(number))) !== null
      // Most of the time that document is all that is missing, and to ask for one is cheap.
      if (isDone || asked % 8 === 0) {
        const entry = await this.#commitOf(number, known)
        if (entry !== null && (isDone || (await this.#isBuiltUpon(number)))) return { number, sequences: entry.sequences! }
        for (; (await this.#entries.read(sign(number, signs))) !== null; signs++) heardAt = performance.now()
        if (entry?.by === this.#server || performance.now() - heardAt > PATIENCE_MS) return this.#finish(number, entry)
      }
      await sleep(pause)
    }
  }

  /** The entry that holds the commit of a number; `null` while there is none. */
  async #commitOf(number: number, known: ReadonlyMap<string, Entry>): Promise<Entry | null> {
    const read = async (_id: string): Promise<Entry | null> => known.get(_id) ?? this.#entries.read(_id)
    const taken = await read(slot(number))
    return taken?.turn === true ? read(filled(number)) : taken
  }

  /** Whether there is a commit after it by a server that took no turn: that has carried out the one before. */
  async #isBuiltUpon(number: number): Promise<boolean> {
    const next = await this.#entries.read(slot(number + 1))
    return next !== null && next.turn === undefined
  }

  /** The changes of the commits after `from` and before `to`. */
  async #changesBetween(from: number, to: number, known: ReadonlyMap<string, Entry>): Promise<readonly Change[] | null> {
    if (to - from > CAUGHT_UP_WITH) return null
    const changes: Change[] = []
    for (let number = from + 1; number < to; number++) {
      const entry = await this.#commitOf(number, known)
      const own = entry === null ? null : entry.changes === undefined ? [] : await this.#entries.changesOf(entry)
      if (own === null) return null
      changes.push(...own)
    }
    return changes
  }

  /** Does in the place of another server what that has not done. */
  async #finish(number: number, entry: Entry | null): Promise<Head> {
    if (entry === null) {
      if ((await this.#entries.read(slot(number))) === null)
        throw new OctoflowError('storage_corrupt', { reason: `the journal has no entry ${number}` })
      const { sequences } = number === 1 ? BEGINNING : await this.#complete(number - 1)
      await this.#entries.insert({ _id: filled(number), by: this.#server, token: randomUUID(), sequences })
      return this.#complete(number)
    }
    const changes = await this.#entries.changesOf(entry)
    if (changes !== null) await this.#carryOut(number, changes, entry)
    await this.#markDone(number)
    return { number, sequences: entry.sequences! }
  }

  /** What is committed has to be carried out, so it is tried until the database can do it; in the end, by whoever comes next. */
  async #carryOut(number: number, changes: readonly Change[], entry: Entry): Promise<void> {
    for (const began = performance.now(); ; ) {
      try {
        await apply(this.#connection, number, changes)
        await this.#entries.deleteParts(entry)
        return
      } catch (error) {
        if (!isTrouble(error)) throw error
        if (performance.now() - began > CARRIED_OUT_WITHIN_MS)
          throw new OctoflowError('storage_outcome_unknown', {}, { cause: error })
        await sleep(RETRY_MS)
      }
    }
  }

  #sign(number: number): void {
    this.#cease()
    let count = 0
    const give = async (): Promise<void> => {
      await this.#entries.insert({ _id: sign(number, count++), by: this.#server, token: randomUUID() })
    }
    this.#signs = setInterval(() => void give().catch(() => undefined), SIGN_EVERY_MS).unref()
  }

  #cease(): void {
    if (this.#signs !== null) clearInterval(this.#signs)
    this.#signs = null
  }

  async #markDone(number: number): Promise<void> {
    await this.#entries.insert({ _id: done(number), by: this.#server, token: randomUUID() })
  }

  /** The highest number that was taken; 0 in the beginning. */
  async #newest(): Promise<number> {
    const age = new Age()
    this.#seen = await this.#entries.newest()
    this.#age = age
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
    void this.#entries.deleteBefore(old.number).catch(() => undefined)
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
