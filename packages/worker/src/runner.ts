import { execute, type ProcessFunction } from './job-context.ts'
import type { JobRun } from './job-run.ts'
import type { Outcome } from './outcome.ts'

/** Where handlers run: here, in threads or in processes. */
export interface Runner {
  /** Gets what is needed to run jobs. Throws a `WorkerError` if no job can ever be run. */
  start(): Promise<void>

  /** Runs the handler on a job. Never rejects. */
  run(run: JobRun): Promise<Outcome>

  /** Ends the handler of this job by force. @returns whether that is possible. */
  kill(run: JobRun): boolean

  /** Ends all that still runs, as far as that is possible. May be called without a start, and again. */
  stop(): Promise<void>
}

/** Runs handlers in the event loop of this thread. */
export class InlineRunner implements Runner {
  readonly #load: () => Promise<ProcessFunction>
  #handler: ProcessFunction | null = null

  constructor(load: () => Promise<ProcessFunction>) {
    this.#load = load
  }

  async start(): Promise<void> {
    this.#handler = await this.#load()
  }

  run(run: JobRun): Promise<Outcome> {
    run.started()
    return execute(this.#handler!, run.claimed, run)
  }

  kill(): boolean {
    return false
  }

  async stop(): Promise<void> {}
}
