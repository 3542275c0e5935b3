import type { Instant } from '../../lib/time.ts'
import type { QueueSettings } from '../../model/queue.ts'
import { availability, type RateLimit, sliceStart, type UsedSlice, windowStart } from '../../model/rate-limit.ts'

export interface Places {
  readonly free: number
  readonly nextAt: Instant | null
}

const UNLIMITED: Places = { free: Number.POSITIVE_INFINITY, nextAt: null }

/** What starts are counted under: the queue itself, or one of its keys. */
const OF_QUEUE = ''
const ofKey = (key: string): string => `k${key}`

/** Starts in one slice of a limit's period. */
export interface CountedStarts {
  readonly queueId: number
  readonly key: string
  readonly slice: Instant
  used: number
}

/** The starts that rate limits count, as one transaction sees and adds to them. Whoever adds holds the queue, or the lane. */
export abstract class SharedRateUsage {
  readonly #transaction: { settingsOf(queueId: number): QueueSettings }
  readonly #slices = new Map<string, UsedSlice[]>()
  readonly #added = new Map<string, CountedStarts>()

  constructor(transaction: { settingsOf(queueId: number): QueueSettings }) {
    this.#transaction = transaction
  }

  /** Reads what was counted for keys, where there is a limit. */
  async read(lanes: readonly { readonly queueId: number; readonly key: string }[], now: Instant): Promise<void> {
    const byQueue = Map.groupBy(lanes, ({ queueId }) => queueId)
    for (const [queueId, of] of byQueue) {
      const limit = this.#transaction.settingsOf(queueId).keyRateLimit
      if (limit !== null)
        await this.#read(
          queueId,
          of.map(({ key }) => ofKey(key)),
          limit,
          now,
        )
    }
  }

  /** Reads what was counted for a queue. @param limit its limit, as it was last known where its settings are still on their way. */
  async readQueue(queueId: number, now: Instant, limit?: RateLimit | null): Promise<void> {
    if (limit === undefined) limit = this.#transaction.settingsOf(queueId).rateLimit
    if (limit !== null) await this.#read(queueId, [OF_QUEUE], limit, now)
  }

  /** Has a queue read again, since its limit turned out to be another. */
  forgetQueue(queueId: number): void {
    this.#slices.delete(`${queueId}:${OF_QUEUE}`)
  }

  /** When the queue's own limit lets jobs start, and how many. */
  ofQueue(queueId: number, now: Instant): Places {
    return this.#places(queueId, OF_QUEUE, this.#transaction.settingsOf(queueId).rateLimit, now)
  }

  ofKey(queueId: number, key: string, now: Instant): Places {
    return this.#places(queueId, ofKey(key), this.#transaction.settingsOf(queueId).keyRateLimit, now)
  }

  /** Counts starts against the limits of the queue and of the key. */
  countStarts(queueId: number, key: string | null, now: Instant, jobs = 1): void {
    const { rateLimit, keyRateLimit } = this.#transaction.settingsOf(queueId)
    if (rateLimit !== null) this.#use(queueId, OF_QUEUE, rateLimit, now, jobs)
    if (key !== null && keyRateLimit !== null) this.#use(queueId, ofKey(key), keyRateLimit, now, jobs)
  }

  save(): void {
    const added = [...this.#added.values()]
    this.#added.clear()
    if (added.length > 0) this.add(added)
  }

  /** What is stored of keys from a slice on, in order of the slices. */
  protected abstract stored(
    queueId: number,
    keys: readonly string[],
    from: Instant,
  ): Promise<(readonly [string, Instant, number])[]>

  /** Adds to what is stored. */
  protected abstract add(starts: readonly CountedStarts[]): void

  async #read(queueId: number, keys: readonly string[], limit: RateLimit, now: Instant): Promise<void> {
    const unread = keys.filter((key) => !this.#slices.has(`${queueId}:${key}`))
    if (unread.length === 0) return
    for (const key of unread) this.#slices.set(`${queueId}:${key}`, [])
    const rows = await this.stored(queueId, unread, windowStart(limit, now))
    for (const [key, start, used] of rows) this.#slices.get(`${queueId}:${key}`)!.push({ start, used })
  }

  #places(queueId: number, key: string, limit: RateLimit | null, now: Instant): Places {
    return limit === null ? UNLIMITED : availability(limit, this.#slices.get(`${queueId}:${key}`) ?? [], now)
  }

  #use(queueId: number, key: string, limit: RateLimit, now: Instant, jobs: number): void {
    const slice = sliceStart(limit, now)
    const name = `${queueId}:${key}`
    const added = this.#added.get(`${name}:${slice}`)
    if (added === undefined) this.#added.set(`${name}:${slice}`, { queueId, key, slice, used: jobs })
    else added.used += jobs
    const slices = this.#slices.get(name)
    if (slices === undefined) return
    const at = slices.findIndex(({ start }) => start === slice)
    if (at >= 0) slices[at] = { start: slice, used: slices[at]!.used + jobs }
    else slices.splice(slices.filter(({ start }) => start < slice).length, 0, { start: slice, used: jobs })
  }
}
