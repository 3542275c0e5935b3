import type { ClaimedJob } from '@octoflow/protocol'
import { type Channel, type Connection, retryDelay } from './connection.ts'
import { type Claim, isTransportError, type Transport } from './transport.ts'

/**
 * How long the server may wait for a job before it answers that there is none: at most this, and at most half a lease. So a
 * worker that vanishes without its connections being closed has no call left to which the server could give the very jobs
 * that it takes back from it, and a job that comes at the end of the wait still has half its lease before it.
 */
const WAIT_SECONDS = 20
const WAIT_SHARE_OF_LEASE = 0.5

const LARGEST_CLAIM = 1_000

/** An answer without jobs that comes sooner than this, though it was asked to wait for longer, counts as hasty. */
const HASTY_MS = 1_000
/** So does one that comes in less than this share of a shorter wait. */
const HASTY_SHARE = 0.5

export interface ClaimerOptions {
  readonly transport: Transport
  readonly connection: Connection
  readonly workerId: string
  readonly queues: readonly string[]
  readonly leaseSeconds: number
  /** How many more jobs can be started now. */
  readonly free: () => number
  /** Whether jobs should not be claimed although there is room for them. */
  readonly heldUp: () => boolean
  /**
   * @param askedAt when the call was made: the leases began then at the earliest.
   * @returns how many were started; the others are given back.
   */
  readonly take: (jobs: readonly ClaimedJob[], askedAt: number) => number
  /** An operator asks that no more jobs be claimed. */
  readonly drain: () => void
  /** Claiming cannot succeed, however often it is tried. */
  readonly fail: (error: unknown) => void
}

/** One queue and the one call at a time that is made for it. */
interface Poll {
  readonly queue: string
  readonly channel: Channel
  /** A call or the wait after a failed one is under way. */
  busy: boolean
  /** The last answer was full, so there are likely more. */
  expectsJobs: boolean
  /** When a job of it was last started, in turns. */
  turn: number
  /** Hasty answers in a row. */
  hasty: number
}

/**
 * Keeps the free slots filled.
 *
 * With one queue, each call asks for as many jobs as there are free slots and waits for the first. With several, waiting
 * on a queue must not keep slots from the others, nor may one queue take them all: a queue that likely has jobs is asked
 * for its share of the free slots and does not wait (the share is set aside meanwhile); one that had none is watched by a
 * call that waits for a single job and sets nothing aside. Whose last start is longest ago has the first turn. Should a
 * watched queue have a job just when the last slot went to another, the job is given back.
 *
 * A call that waits is never hung up to ask for something else: jobs might be on their way.
 */
export class Claimer {
  readonly #options: ClaimerOptions
  readonly #waitSeconds: number
  readonly #polls: readonly Poll[]
  readonly #hangUp = new AbortController()
  #setAside = 0
  #turn = 0
  #answered = false
  #scheduled = false
  #heldUp = false
  #underWay = 0
  readonly #ended = Promise.withResolvers<void>()

  constructor(options: ClaimerOptions) {
    this.#options = options
    this.#waitSeconds = Math.min(WAIT_SECONDS, options.leaseSeconds * WAIT_SHARE_OF_LEASE)
    this.#polls = options.queues.map((queue) => ({
      queue,
      channel: options.connection.open(`claiming jobs of ${queue}`),
      busy: false,
      expectsJobs: true,
      turn: 0,
      hasty: 0,
    }))
  }

  /** Slots may be free. Handlers that end together have one look taken for all of them. */
  wake(): void {
    if (this.#scheduled || this.#hangUp.signal.aborted) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#look()
    })
  }

  /** What held claiming up may be over. */
  resume(): void {
    if (this.#heldUp && !this.#options.heldUp()) this.wake()
  }

  /** Claims no more. @returns when no call is under way; what was on its way has been taken by then. */
  close(): Promise<void> {
    this.#hangUp.abort()
    for (const { channel } of this.#polls) channel.close()
    if (this.#underWay === 0) this.#ended.resolve()
    return this.#ended.promise
  }

  #look(): void {
    if (this.#hangUp.signal.aborted) return
    this.#heldUp = this.#options.heldUp()
    if (this.#heldUp) return
    const ready = this.#polls.filter(({ busy }) => !busy).sort((a, b) => a.turn - b.turn)
    let sharers = ready.filter(({ expectsJobs }) => expectsJobs).length
    for (const poll of ready) {
      const free = this.#options.free() - this.#setAside
      if (free <= 0) return
      if (this.#polls.length === 1) void this.#call(poll, free, this.#waitSeconds)
      else if (poll.expectsJobs) void this.#call(poll, Math.ceil(free / sharers--), 0)
      else void this.#call(poll, 1, this.#waitSeconds)
    }
  }

  async #call(poll: Poll, slots: number, waitSeconds: number): Promise<void> {
    const { transport, connection, workerId, leaseSeconds } = this.#options
    const { queue } = poll
    const limit = Math.min(slots, LARGEST_CLAIM)
    const setAside = waitSeconds === 0 ? limit : 0
    const askedAt = connection.clock.now()
    this.#begin(poll, setAside)
    try {
      const answer = await transport.claim({ workerId, queue, limit, waitSeconds, leaseSeconds, signal: this.#hangUp.signal })
      this.#setAside -= setAside
      this.#answer(poll, answer, limit, askedAt)
      if (answer.jobs.length === 0 && waitSeconds > 0) await this.#slowDown(poll, connection.clock.now() - askedAt, waitSeconds)
      else poll.hasty = 0
    } catch (error) {
      this.#setAside -= setAside
      await this.#failed(poll, error)
    }
    this.#end(poll)
  }

  #begin(poll: Poll, setAside: number): void {
    poll.busy = true
    this.#setAside += setAside
    this.#underWay++
  }

  #end(poll: Poll): void {
    poll.busy = false
    this.#underWay--
    if (!this.#hangUp.signal.aborted) this.#look()
    else if (this.#underWay === 0) this.#ended.resolve()
  }

  #answer(poll: Poll, { jobs, drain }: Claim, limit: number, askedAt: number): void {
    this.#answered = true
    poll.channel.succeeded()
    poll.expectsJobs = jobs.length >= limit
    if (jobs.length > 0 && this.#options.take(jobs, askedAt) > 0) poll.turn = ++this.#turn
    if (drain) this.#options.drain()
  }

  /** A server that answers at once that there is nothing, though it was asked to wait, must not be asked without end. */
  async #slowDown(poll: Poll, tookMs: number, waitSeconds: number): Promise<void> {
    poll.hasty = tookMs < Math.min(HASTY_MS, waitSeconds * 1_000 * HASTY_SHARE) ? poll.hasty + 1 : 0
    if (poll.hasty < 2 || this.#hangUp.signal.aborted) return
    await poll.channel.pause(retryDelay(poll.hasty - 1, this.#options.connection.random()), true)
  }

  async #failed(poll: Poll, error: unknown): Promise<void> {
    if (this.#hangUp.signal.aborted) return
    // Before the first answer these are mistakes in the configuration; after it, a server or proxy in trouble.
    const hopeless =
      isTransportError(error, 'refused') || (!this.#answered && isTransportError(error, 'rejected', 'misdirected'))
    if (hopeless) this.#options.fail(error)
    else await poll.channel.backOff(error)
  }
}
