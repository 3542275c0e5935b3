import type { CancelTimer, SystemClock } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { type Duration, humanDuration, type Instant, MILLISECOND, SECOND } from '../../lib/time.ts'
import type { Ports } from '../ports.ts'

const LOOK_EVERY = SECOND

/** Corrections of the clock up to this size are followed without further ado. */
const STEP: Duration = 500 * MILLISECOND

/** Smaller differences than this are the noise of reading two clocks. */
const NOISE: Duration = 5 * MILLISECOND

/** A step of the time of day that was noticed. */
export interface ClockStep {
  readonly at: Instant
  readonly by: Duration
}

/**
 * Follows the time of day without letting a step of it (an operator, NTP, a machine that slept) end or prolong leases: the
 * engine's time runs on by the monotonic clock, and when the time of day has been stepped, the leases are moved along
 * with it, as are the backoffs that jobs wait out.
 */
export class ClockWatch extends Service {
  readonly #ports: Ports
  readonly #clock: SystemClock
  #lastStep: ClockStep | null = null
  #cancelTimer: CancelTimer = () => {}

  constructor(ports: Ports, clock: SystemClock) {
    super()
    this.#ports = ports
    this.#clock = clock
  }

  get lastStep(): ClockStep | null {
    return this.#lastStep
  }

  protected override onStart(): void {
    this.#schedule()
  }

  protected override onStop(): void {
    this.#cancelTimer()
  }

  #schedule(): void {
    this.#cancelTimer = this.#clock.after(LOOK_EVERY, () => {
      this.look()
        .catch((error) => this.#ports.logger.error({ err: error }, 'leases were not moved with the clock; it is tried again'))
        .finally(() => {
          if (this.running) this.#schedule()
        })
    })
  }

  /** Compares the clocks once. */
  async look(): Promise<void> {
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

  /**
   * The clock follows as soon as the shift has been asked for: what is asked of the storage from then on is served after it, and
   * a rescue at the time of before would find that leases moved back had run out.
   */
  async #follow(by: Duration): Promise<void> {
    // Where servers share the database, the others' clocks have not been stepped, nor have the leases of their workers.
    const shifted = this.#ports.storage.capabilities.shared ? null : this.#ports.storage.leases.shift({ by })
    const goBack = this.#clock.adopt()
    try {
      await shifted
    } catch (error) {
      goBack()
      throw error
    }
  }
}
