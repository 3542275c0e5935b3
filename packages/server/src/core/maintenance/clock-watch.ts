import type { CancelTimer, SystemClock } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { type Duration, humanDuration, type Instant, MILLISECOND, SECOND } from '../../lib/time.ts'
import type { Leadership } from '../leadership/leadership.ts'
import type { Ports } from '../ports.ts'

const LOOK_EVERY = SECOND

/** Corrections of the clock up to this size are followed without further ado. */
const STEP: Duration = 500 * MILLISECOND

/** Smaller differences than this are the noise of reading two clocks. */
const NOISE: Duration = 5 * MILLISECOND

/** From this difference between the machine's clock and the database's on, somebody should look after them. */
export const SKEWED: Duration = SECOND

/** A step of the time of day that was noticed. */
export interface ClockStep {
  readonly at: Instant
  readonly by: Duration
}

/**
 * Follows the time of day without letting a step of it (an operator, NTP, a machine that slept) end or prolong leases: the
 * engine's time runs on by the monotonic clock, and when the time of day has been stepped, the leases are moved along
 * with it, as are the backoffs that jobs wait out.
 *
 * Where servers share a database, its clock tells the time of day to all of them. So neither a clock that is wrong on one of
 * their machines nor a step of it means anything to a lease; when the database's clock is stepped, the leader moves them.
 */
export class ClockWatch extends Service {
  readonly #ports: Ports
  readonly #clock: SystemClock
  readonly #leadership: Leadership
  #lastStep: ClockStep | null = null
  #cancelTimer: CancelTimer = () => {}

  constructor(ports: Ports, clock: SystemClock, leadership: Leadership) {
    super()
    this.#ports = ports
    this.#clock = clock
    this.#leadership = leadership
  }

  get lastStep(): ClockStep | null {
    return this.#lastStep
  }

  /** How far the machine's clock is behind the database's, if that is worth mentioning; negative if it is ahead. */
  get skew(): Duration | null {
    return Math.abs(this.#clock.skew) > SKEWED ? this.#clock.skew : null
  }

  protected override async onStart(): Promise<void> {
    const measured = await this.#measure()
    if (measured !== null) this.#correct(measured.skew)
    this.#clock.adopt()
    this.#schedule()
  }

  protected override onStop(): void {
    this.#cancelTimer()
  }

  #schedule(): void {
    this.#cancelTimer = this.#clock.after(LOOK_EVERY, () => {
      this.look()
        .catch((error) => {
          const { logger, outage } = this.#ports
          if (!outage.explains(error)) logger.warn({ err: error }, 'the clock was not looked at; it is tried again')
        })
        .finally(() => {
          if (this.running) this.#schedule()
        })
    })
  }

  /** Compares the clocks once. */
  async look(): Promise<void> {
    const measured = await this.#measure()
    if (measured !== null) {
      const { skew, uncertainty } = measured
      // What took so long says nothing of steps; and without it, one of the machine's own would be taken for one.
      if (uncertainty > STEP / 2) return
      if (Math.abs(skew - this.#clock.skew) > uncertainty + NOISE) this.#correct(skew)
    }
    const by = this.#clock.drift()
    if (Math.abs(by) < NOISE) return
    if (Math.abs(by) <= STEP) {
      this.#clock.adopt()
      return
    }
    await this.#follow(by)
    const message = `the time of day was stepped ${by > 0 ? 'forward' : 'back'} by ${humanDuration(Math.abs(by))}; leases moved along`
    this.#ports.logger.warn({ by }, message)
    this.#lastStep = { at: this.#clock.now(), by }
  }

  /** How far the database's clock is ahead of the machine's; `null` where they are the same. */
  async #measure(): Promise<{ readonly skew: Duration; readonly uncertainty: Duration } | null> {
    const begun = this.#clock.elapsed()
    const read = await this.#ports.storage.upkeep.time()
    if (read === null) return null
    this.#ports.outage.end()
    const took = this.#clock.elapsed() - begun
    return { skew: this.#clock.skewOf(read, took), uncertainty: took / 2 }
  }

  #correct(skew: Duration): void {
    const before = this.skew
    this.#clock.skew = skew
    if (this.skew !== null && before === null) this.#ports.logger.warn({ skew }, skewMessage(skew))
    if (this.skew === null && before !== null)
      this.#ports.logger.info({ skew }, 'the clocks of this machine and of the database agree again')
  }

  /**
   * The clock follows as soon as the shift has been asked for: what is asked of the storage from then on is served after it, and
   * a rescue at the time of before would find that leases moved back had run out.
   */
  async #follow(by: Duration): Promise<void> {
    const { storage } = this.#ports
    // All servers follow the clock of a database that they share; what they share is moved once.
    const moves = !storage.capabilities.shared || this.#leadership.leader
    const shifted = moves ? storage.leases.shift({ by }) : null
    const goBack = this.#clock.adopt()
    try {
      await shifted
    } catch (error) {
      goBack()
      throw error
    }
  }
}

/** In words that log, `attention` and `doctor` have in common. @param skew positive when the machine's clock is behind. */
export const skewMessage = (skew: Duration): string =>
  `The clock of this machine is ${humanDuration(Math.abs(skew))} ${skew > 0 ? 'behind' : 'ahead of'} the database’s.`

export const SKEW_HINT =
  'Octoflow goes by the database’s clock, so that leases hold all the same; let both clocks be kept by NTP.'
