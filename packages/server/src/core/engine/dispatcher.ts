import type { CancelTimer, Clock } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { type Duration, type Instant, SECOND } from '../../lib/time.ts'
import type { ClaimedJob } from '../../storage/contract/leases.ts'
import type { Ports } from '../ports.ts'

/** A worker's wish for jobs. */
export interface ClaimWish {
  readonly queue: string
  readonly worker: string
  readonly limit: number
  readonly lease: Duration
  /** How long to wait for a job when there is none. */
  readonly wait: Duration
  /** Ends the waiting: the client went away. */
  readonly signal?: AbortSignal | undefined
}

/** Those who wait for jobs of one queue. */
interface WaitingRoom {
  /** First come, first served. */
  readonly waiters: Set<() => void>
  /** Claims under way, waiting or not. The room is closed when there is none. */
  claims: number
  /** Rises whenever jobs become free to start, so that a claim can tell whether it looked too early. */
  news: number
  wakeAt: Instant | null
  cancelWake: CancelTimer
}

/** Where the storage hears of other servers' commits only by looking, look this often. */
const POLL_EVERY = SECOND

/**
 * Hands jobs to those who ask. One who finds none waits, and is woken by the commit that makes a job free to start, by
 * the time at which one is due, or by the end of its wait; nobody polls.
 */
export class Dispatcher extends Service {
  readonly #ports: Ports
  readonly #rooms = new Map<string, WaitingRoom>()
  #unsubscribe: () => void = () => {}
  #cancelPoll: CancelTimer = () => {}

  constructor(ports: Ports) {
    super()
    this.#ports = ports
  }

  /** @returns the jobs claimed; none when the wait ends, the client goes away or the server stops. */
  async claim({ queue, worker, limit, lease, wait, signal }: ClaimWish): Promise<readonly ClaimedJob[]> {
    const { clock, storage } = this.#ports
    const room = this.#enter(queue)
    const patience = new Patience(clock, wait, signal)
    try {
      while (true) {
        const news = room.news
        const { jobs, nextAt } = await storage.leases.claim({ now: clock.now(), queue, worker, limit, lease })
        if (jobs.length > 0 || patience.over || !this.running) return jobs
        if (room.news !== news) continue
        this.#wakeAt(room, nextAt)
        await patience.wait(room.waiters)
      }
    } finally {
      patience.end()
      this.#leave(queue, room)
    }
  }

  protected override onStart(): void {
    this.#unsubscribe = this.#ports.storage.onReady((queue, count) => this.#wake(this.#rooms.get(queue), count))
    if (this.#ports.storage.capabilities.signals === 'none') this.#poll()
  }

  protected override onStop(): void {
    this.#unsubscribe()
    this.#cancelPoll()
    for (const room of this.#rooms.values()) this.#wake(room, null)
  }

  #enter(queue: string): WaitingRoom {
    let room = this.#rooms.get(queue)
    if (room === undefined) {
      room = { waiters: new Set(), claims: 0, news: 0, wakeAt: null, cancelWake: () => {} }
      this.#rooms.set(queue, room)
    }
    room.claims++
    return room
  }

  #leave(queue: string, room: WaitingRoom): void {
    if (--room.claims > 0) return
    room.cancelWake()
    this.#rooms.delete(queue)
  }

  /** @param count how many jobs became free; `null` wakes everybody. */
  #wake(room: WaitingRoom | undefined, count: number | null): void {
    if (room === undefined) return
    room.news++
    let left = count ?? room.waiters.size
    for (const waiter of room.waiters) {
      if (left-- <= 0) break
      waiter()
    }
  }

  /** One waiter looks again at `at`; what it frees by looking wakes the others. */
  #wakeAt(room: WaitingRoom, at: Instant | null): void {
    if (at === null) return
    const now = this.#ports.clock.now()
    // A time to wake that has passed was set before the clock was stepped forward; its timer has yet to run.
    if (room.wakeAt !== null && room.wakeAt >= now && room.wakeAt <= at) return
    room.cancelWake()
    room.wakeAt = at
    room.cancelWake = this.#ports.clock.after(at - now, () => {
      room.wakeAt = null
      this.#wake(room, 1)
    })
  }

  #poll(): void {
    this.#cancelPoll = this.#ports.clock.after(POLL_EVERY, () => {
      for (const room of this.#rooms.values()) this.#wake(room, null)
      this.#poll()
    })
  }
}

/** How long one caller waits for jobs: until its time is up or its client goes away. */
class Patience {
  readonly #signal: AbortSignal | undefined
  readonly #cancelTimer: CancelTimer
  #over: boolean
  #leave: () => void = () => {}

  constructor(clock: Clock, wait: Duration, signal: AbortSignal | undefined) {
    this.#signal = signal
    this.#over = wait <= 0 || signal?.aborted === true
    this.#cancelTimer = this.#over ? () => {} : clock.after(wait, this.#lose)
    signal?.addEventListener('abort', this.#lose, { once: true })
  }

  get over(): boolean {
    return this.#over
  }

  /** Resolves when woken by one of those who look after `waiters`, or when patience is over. */
  wait(waiters: Set<() => void>): Promise<void> {
    return new Promise((resolve) => {
      this.#leave = () => {
        waiters.delete(this.#leave)
        resolve()
      }
      waiters.add(this.#leave)
    })
  }

  end(): void {
    this.#cancelTimer()
    this.#signal?.removeEventListener('abort', this.#lose)
  }

  readonly #lose = (): void => {
    this.#over = true
    this.#leave()
  }
}
