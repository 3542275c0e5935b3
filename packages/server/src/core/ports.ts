import type { Clock } from '../lib/clock.ts'
import type { Storage } from '../storage/contract/storage.ts'
import type { Outage } from './maintenance/outage.ts'

/** Where the core says what happens. pino's loggers fit. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What every part of the core stands on. */
export interface Ports {
  readonly storage: Storage
  readonly clock: Clock
  readonly logger: Logger
  readonly outage: Outage
  /** Uniform in 0 … 1. */
  readonly random: () => number
}
