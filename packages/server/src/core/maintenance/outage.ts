import { isOctoflowError } from '../../errors/octoflow-error.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Duration, humanDuration } from '../../lib/time.ts'
import type { Logger } from '../ports.ts'

/**
 * Whether the database is away, as found by what the server does without being asked. All of that fails again and again meanwhile,
 * in several places; the log says once that the database is away, and once that it is back. Who asks each second ends it: `Rescue`, and on
 * servers without maintenance `ClockWatch`.
 */
export class Outage {
  readonly #clock: Clock
  readonly #logger: Logger
  #since: Duration | null = null

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  /** @returns whether the database being away is behind the error: then everything is said. */
  explains(error: unknown): boolean {
    if (!isOctoflowError(error, 'storage_unavailable', 'storage_outcome_unknown')) return false
    if (this.#since === null) {
      this.#since = this.#clock.elapsed()
      this.#logger.warn({ err: error }, 'the database cannot be reached; it is tried again until it can')
    }
    return true
  }

  /** The database has answered. */
  end(): void {
    if (this.#since === null) return
    const away = this.#clock.elapsed() - this.#since
    this.#since = null
    this.#logger.info({ away }, `the database is reached again, after ${humanDuration(away)}`)
  }
}
