import { OctoflowError } from '../../errors/octoflow-error.ts'
import { type Duration, SECOND } from '../../lib/time.ts'
import { inScope, type Principal } from '../../model/access.ts'
import type { JobError, Progress } from '../../model/job.ts'
import type { Outcome } from '../../model/settle.ts'
import type { NewEvent } from '../../storage/contract/events.ts'
import type { BeatResult, ClaimedJob } from '../../storage/contract/leases.ts'
import type { ItemResult } from '../../storage/contract/storage.ts'
import type { Feed } from '../feed.ts'
import type { Ports } from '../ports.ts'
import type { ClaimWish, Dispatcher } from './dispatcher.ts'
import type { Roster } from './roster.ts'

export const DEFAULT_LEASE: Duration = 30 * SECOND

/** How an attempt ended, in a worker's words. */
export type ReportedOutcome =
  | { readonly kind: 'completed'; readonly result: string | null }
  | { readonly kind: 'failed'; readonly error: JobError }
  | { readonly kind: 'snoozed'; readonly delay: Duration }
  | { readonly kind: 'released' }
  | { readonly kind: 'cancelled'; readonly reason: string | null }
  | { readonly kind: 'discarded'; readonly reason: string; readonly error: JobError | null }

/** A worker's claim to speak for a job. */
export interface Lease {
  readonly id: number
  readonly fence: number
}

/** A fence that no lease has. */
export const NO_FENCE = -1

export interface WorkReport extends Lease {
  readonly outcome: ReportedOutcome
  readonly events: readonly NewEvent[]
}

export interface Heartbeat extends Lease {
  readonly progress: Progress | null
}

export type Command = 'continue' | 'cancel' | 'drain' | 'lost'

export interface HeartbeatResult extends Pick<BeatResult, 'id' | 'leaseUntil'> {
  readonly command: Command
}

/** What workers do: claim, heartbeat, report. */
export class Work {
  readonly #ports: Ports
  readonly #dispatcher: Dispatcher
  readonly #roster: Roster
  readonly #feed: Feed

  constructor(ports: Ports, dispatcher: Dispatcher, roster: Roster, feed: Feed) {
    this.#ports = ports
    this.#dispatcher = dispatcher
    this.#roster = roster
    this.#feed = feed
  }

  /** @throws `queue_out_of_scope` */
  async claim(
    wish: ClaimWish,
    by: Principal,
    agent: string | null,
  ): Promise<{ readonly jobs: readonly ClaimedJob[]; readonly drain: boolean }> {
    if (!inScope(by.queues, wish.queue)) throw new OctoflowError('queue_out_of_scope', { queue: wish.queue })
    if (this.#roster.seen(wish.worker, wish.queue, agent)) return { jobs: [], drain: true }
    const jobs = await this.#dispatcher.claim(wish)
    if (jobs.length > 0 && wish.signal?.aborted) {
      await this.#giveBack(jobs)
      return { jobs: [], drain: false }
    }
    this.#feed.publish(jobs.map(({ id }) => ({ id, queue: wish.queue, state: 'running' })))
    return { jobs, drain: this.#roster.seen(wish.worker, wish.queue) }
  }

  async heartbeat(
    worker: string,
    lease: Duration,
    beats: readonly Heartbeat[],
    by: Principal,
  ): Promise<readonly HeartbeatResult[]> {
    const drain = this.#roster.seen(worker, null)
    const own = await this.#ownLeases(beats, by)
    const now = this.#ports.clock.now()
    const results = await this.#ports.storage.leases.heartbeat({ now, beats: own.map((beat) => ({ ...beat, lease })) })
    return results.map(({ id, leaseUntil, cancelRequested }) => {
      const command = leaseUntil === null ? 'lost' : cancelRequested ? 'cancel' : drain ? 'drain' : 'continue'
      return { id, leaseUntil, command }
    })
  }

  async report(worker: string, reports: readonly WorkReport[], by: Principal): Promise<readonly ItemResult[]> {
    this.#roster.seen(worker, null)
    const own = await this.#ownLeases(reports, by)
    return this.#settle(
      own.map(({ id, fence, outcome, events }) => ({
        id,
        fence,
        outcome: this.#toOutcome(outcome),
        finishedAt: null,
        events,
      })),
    )
  }

  /** Takes the lease from what is said about jobs outside the caller's queues: fences can be guessed. */
  async #ownLeases<Word extends Lease>(words: readonly Word[], { queues }: Principal): Promise<readonly Word[]> {
    if (queues === null) return words
    const jobs = await this.#ports.storage.jobs.find({ ids: words.map(({ id }) => id) })
    const own = new Set(jobs.filter(({ queue }) => inScope(queues, queue)).map(({ id }) => id))
    return words.map((word) => (own.has(word.id) ? word : { ...word, fence: NO_FENCE }))
  }

  /** Jobs claimed for somebody who went away before the answer could be sent. */
  async #giveBack(jobs: readonly ClaimedJob[]): Promise<void> {
    await this.#settle(
      jobs.map(({ id, fence }) => ({ id, fence, outcome: { kind: 'released' }, finishedAt: null, events: [] })),
    )
  }

  async #settle(reports: Parameters<Ports['storage']['leases']['report']>[0]['reports']): Promise<readonly ItemResult[]> {
    const results = await this.#ports.storage.leases.report({ now: this.#ports.clock.now(), reports })
    this.#feed.publish(
      results.flatMap(({ id, queue, state }) => (queue !== null && state !== null ? [{ id, queue, state }] : [])),
    )
    return results
  }

  #toOutcome(outcome: ReportedOutcome): Outcome {
    if (outcome.kind === 'completed') return { ...outcome, handled: true }
    if (outcome.kind === 'failed') return { ...outcome, random: this.#ports.random() }
    return outcome
  }
}
