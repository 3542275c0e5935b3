import type { Clock } from '../clock.ts'
import { retryDelay } from '../connection.ts'
import type { JobRun } from '../job-run.ts'
import type { Logger } from '../logger.ts'
import { type Outcome, RELEASED } from '../outcome.ts'
import type { Runner } from '../runner.ts'
import { messageOf } from '../worker-error.ts'
import { openProcess } from './child-process.ts'
import { Host } from './host.ts'
import { openThread } from './thread.ts'

const OPEN = { thread: openThread, process: openProcess } as const

export interface IsolatedRunnerOptions {
  readonly children: 'thread' | 'process'
  /** The handler module's URL. */
  readonly href: string
  readonly clock: Clock
  /** Uniform in 0 … 1. */
  readonly random: () => number
  readonly logger: Logger
}

/**
 * Runs handlers in children, one job at a time in each. There are as many children as jobs were ever run at once; one that
 * ends is replaced when the next job needs it.
 */
export class IsolatedRunner implements Runner {
  readonly #options: IsolatedRunnerOptions
  readonly #hosts = new Set<Host>()
  #idle: Host[] = []
  #stopping = new AbortController()

  constructor(options: IsolatedRunnerOptions) {
    this.#options = options
  }

  /** The first child shows whether the module can be used. */
  async start(): Promise<void> {
    this.#stopping = new AbortController()
    this.#idle.push(await this.#open())
  }

  async run(run: JobRun): Promise<Outcome> {
    const host = this.#takeIdle() ?? (await this.#openFor(run))
    if (host === null) return RELEASED
    const outcome = await host.execute(run)
    if (host.alive) this.#idle.push(host)
    return outcome
  }

  kill(run: JobRun): boolean {
    for (const host of this.#hosts) if (host.runs(run)) host.kill()
    // A job that still waits for a child has none to kill.
    return true
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    const hosts = [...this.#hosts]
    for (const host of hosts) host.kill()
    await Promise.all(hosts.map(({ ended }) => ended))
  }

  #takeIdle(): Host | null {
    this.#idle = this.#idle.filter(({ alive }) => alive)
    return this.#idle.pop() ?? null
  }

  /** @returns `null` if the job was aborted, or the runner stopped, before a child was ready. */
  async #openFor(run: JobRun): Promise<Host | null> {
    for (let failures = 1; !run.aborted && !this.#stopping.signal.aborted; failures++) {
      try {
        const host = await this.#open()
        if (!run.aborted) return host
        this.#idle.push(host)
      } catch (error) {
        if (this.#stopping.signal.aborted) break
        if (failures === 1)
          run.logger.error('No child can be started for the job; trying until one can.', { error: messageOf(error) })
        await this.#pause(retryDelay(failures, this.#options.random()), run.signal)
      }
    }
    return null
  }

  async #open(): Promise<Host> {
    const { children, href, logger } = this.#options
    const host = new Host(OPEN[children], href)
    this.#hosts.add(host)
    void host.ended.then(() => {
      this.#hosts.delete(host)
      if (this.#idle.includes(host) && !this.#stopping.signal.aborted)
        logger.warn(`The idle ${host.label} ended; another takes its place when needed.`)
    })
    await host.ready
    return host
  }

  /** Waits, but no longer than the job is worth it. */
  #pause(delay: number, jobSignal: AbortSignal): Promise<void> {
    const signals = [jobSignal, this.#stopping.signal]
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        for (const signal of signals) signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#options.clock.after(delay, end)
      for (const signal of signals) signal.addEventListener('abort', end)
    })
  }
}
