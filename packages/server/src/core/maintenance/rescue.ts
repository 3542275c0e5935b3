import { Service } from '../../lib/service.ts'
import { type Duration, type Instant, SECOND } from '../../lib/time.ts'
import type { Feed } from '../feed.ts'
import type { Ports } from '../ports.ts'
import { Chore } from './chore.ts'

const LOOK_EVERY = SECOND

/** Jobs taken back in one transaction: they keep the database busy for no more than some milliseconds. */
const BATCH = 200

/** Who has not had an answer of the database for so long has lost touch with it. */
const OUT_OF_TOUCH: Duration = 5 * SECOND

/**
 * For so long after a server came into touch with the database it leaves what was started before: while it was not, workers may
 * have been unable to send heartbeats. It is the longest a worker of the SDK waits before it tries to reach a server again, and some.
 */
const GRACE: Duration = 12 * SECOND

/** Clocks that differ by more than this have been stepped. */
const STEPPED: Duration = SECOND

/**
 * Takes back the jobs of vanished workers. Every server does, so that those whose worker and leader die together need not wait
 * for the next leader. And each knows by itself when to leave leases alone: if all were down, or the database was, none has
 * been in touch with it for long; if one has, workers could have reached that one. It is out of touch as well while servers that
 * share the database may not agree on the time, since that was stepped; see `ClockWatch`.
 */
export class Rescue extends Service {
  readonly #ports: Ports
  readonly #feed: Feed
  readonly #chore: Chore
  /** When it came into touch: the time, and that of `elapsed()`; and when it last was. */
  #startedSince: Instant = 0
  #since: Duration = 0
  #last: Duration | null = null
  /** What the time was ahead of `elapsed()` when it last was. */
  #ahead: Duration = 0

  constructor(ports: Ports, feed: Feed) {
    super()
    this.#ports = ports
    this.#feed = feed
    this.#chore = new Chore(ports, 'rescue', LOOK_EVERY, () => this.#look())
  }

  protected override onStart(): void {
    this.#last = null
    this.#chore.start()
  }

  protected override async onStop(): Promise<void> {
    await this.#chore.stop()
  }

  async #look(): Promise<boolean> {
    const { clock } = this.#ports
    const at = clock.elapsed()
    const inTouch = this.#last !== null && at - this.#last <= OUT_OF_TOUCH
    this.#last = null
    if (!(await this.#agrees()) || !inTouch) {
      this.#since = at
      this.#startedSince = clock.now()
    }
    const more = await this.#takeBack(at - this.#since < GRACE ? this.#startedSince : 0)
    this.#last = at
    return more
  }

  /** Whether the time is what the database says, and goes on as it did. Where it is this machine's alone, leases are moved with it. */
  async #agrees(): Promise<boolean> {
    const { clock, storage } = this.#ports
    const begun = clock.now()
    const read = await storage.upkeep.time()
    if (read === null) return true
    const before = this.#ahead
    this.#ahead = clock.now() - clock.elapsed()
    return read > begun - STEPPED && read < clock.now() + STEPPED && Math.abs(this.#ahead - before) < STEPPED
  }

  async #takeBack(startedSince: Instant): Promise<boolean> {
    const now = this.#ports.clock.now()
    const rescued = await this.#ports.storage.leases.rescue({ now, startedSince, limit: BATCH })
    this.#ports.outage.end()
    if (rescued.length > 0) this.#ports.logger.warn({ jobs: rescued.length }, 'took back jobs whose lease ran out')
    this.#feed.publish(rescued)
    return rescued.length === BATCH
  }
}
