import type { Duration, Instant } from '../../../lib/time.ts'
import type { Labels } from '../../../model/job.ts'
import { type QueueSettings, retryPolicy } from '../../../model/queue.ts'
import { deadlineOf } from '../../../model/settle.ts'
import type { Claim, ClaimedJob } from '../../contract/leases.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import type { ClaimCall } from '../../sql/leases.ts'
import { type Meta, parseMeta } from '../../sql/meta.ts'
import { parseOptions } from '../../sql/options.ts'

/** Who claims, and what is handed out to whom. */

/** Those who claim together, and what each has got so far. */
export class Takers {
  readonly now: Instant
  readonly #calls: readonly ClaimCall[]
  readonly #jobs: ClaimedJob[][]
  readonly #characters: number[]

  constructor(calls: readonly ClaimCall[]) {
    this.now = Math.max(...calls.map(({ now }) => now))
    this.#calls = calls
    this.#jobs = calls.map(() => [])
    this.#characters = calls.map(() => 0)
  }

  get wanted(): number {
    return this.#calls.reduce((sum, _, taker) => sum + this.#left(taker), 0)
  }

  /** Shares jobs out in order. What is more than the answers can carry is left out. */
  share(jobs: readonly PickedRecord[]): Share[] {
    const shares: Share[] = []
    let taker = 0
    let left = this.#left(0)
    let characters = this.#characters[0]!
    for (const job of jobs) {
      while (left === 0 || characters >= CHARACTERS_AT_ONCE) {
        if (++taker === this.#calls.length) return shares
        left = this.#left(taker)
        characters = this.#characters[taker]!
      }
      left--
      characters += job[10] ?? 0
      const { worker, lease } = this.#calls[taker]!
      shares.push({ taker, worker, until: this.now + lease, job })
    }
    return shares
  }

  give(jobs: readonly Share[], settings: QueueSettings, contents: Contents): void {
    for (const { taker, until, job } of jobs) {
      const claimed = new Claimed(job, contents.get(job[0]), settings, this.now, until)
      this.#jobs[taker]!.push(claimed)
      this.#characters[taker]! += claimed.payload.length
    }
  }

  claims(nextAt: Instant | null): Claim[] {
    return this.#calls.map(({ limit }, index) => {
      const jobs = this.#jobs[index]!
      return { jobs, nextAt: jobs.length < limit ? nextAt : null }
    })
  }

  #left(taker: number): number {
    return this.#characters[taker]! >= CHARACTERS_AT_ONCE ? 0 : this.#calls[taker]!.limit - this.#jobs[taker]!.length
  }
}

/** A job, and who gets it. */
export interface Share {
  readonly taker: number
  readonly worker: string
  readonly until: Instant
  readonly job: PickedRecord
}

/** A ready job that is locked, as it was before it is started. */
export type PickedRecord = readonly [
  id: number,
  attempt: number,
  fence: number,
  priority: number,
  createdAt: Instant,
  runAt: Instant,
  key: string | null,
  timeout: Duration | null,
  maxAttempts: number | null,
  options: string | null,
  size: number | null,
  meta: string | null,
  body: string | null,
  revised: number,
]

/** What stands apart from a job's row: its body, what a retry put in its place, or both. */
export interface Content {
  readonly meta: string | null
  readonly body: string | null
  readonly payload: string | null
}

export type Contents = ReadonlyMap<number, Content>

/** A class, for a claim makes hundreds of them: their request is parsed for those alone who ask. */
class Claimed implements ClaimedJob {
  readonly id: number
  readonly fence: number
  readonly leaseUntil: Instant
  readonly attempt: number
  readonly maxAttempts: number
  readonly priority: number
  readonly createdAt: Instant
  readonly runAt: Instant
  readonly timeout: Duration | null
  readonly concurrencyKey: string | null
  readonly labels: Labels
  readonly payload: string
  readonly #meta: string | null

  constructor(job: PickedRecord, content: Content | undefined, settings: QueueSettings, now: Instant, until: Instant) {
    const timeout = job[7]
    this.id = job[0]
    this.attempt = job[1] + 1
    this.fence = job[2] + 1
    this.priority = job[3]
    this.createdAt = job[4]
    this.runAt = job[5]
    this.concurrencyKey = job[6]
    this.timeout = timeout
    this.leaseUntil = timeout === null ? until : Math.min(until, deadlineOf(now, timeout))
    this.maxAttempts = retryPolicy({ maxAttempts: job[8], backoff: null }, settings).maxAttempts
    this.labels = parseOptions(job[9]).labels ?? NO_LABELS
    this.#meta = job[12] === null ? content!.meta : job[11]
    this.payload = content?.payload ?? job[12] ?? content!.body!
  }

  get request(): Meta {
    return parseMeta(this.#meta)
  }
}

const NO_LABELS: Labels = Object.freeze({})
