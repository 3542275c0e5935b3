import type { Instant } from '../lib/time.ts'
import type { JobState } from './job.ts'

/** Which jobs are meant; what is left out matches all. */
export interface JobFilter {
  /** Any of these queues. */
  readonly queues?: readonly string[] | undefined
  /** Any of these states. */
  readonly states?: readonly JobState[] | undefined
  /** A label that the job carries: its name, or `name=value`. */
  readonly label?: string | undefined
  readonly createdFrom?: Instant | undefined
  /** Exclusive. */
  readonly createdTo?: Instant | undefined
  readonly ids?: readonly number[] | undefined
  /** Text that its payload contains, whatever the case. */
  readonly text?: string | undefined
}
