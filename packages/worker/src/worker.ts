import { type Clock, SystemClock } from './clock.ts'
import { HttpTransport } from './http-transport.ts'
import { loadHandler } from './load-handler.ts'
import { isTransport, type Settings, settingsOf, type WorkerOptions } from './options.ts'
import { InlineRunner, type Runner } from './runner.ts'
import { Session } from './session.ts'
import { onSignals } from './signals.ts'

/** What tests put in the place of the real thing. */
export interface Environment {
  readonly clock: Clock
  /** Uniform in 0 … 1. */
  readonly random: () => number
}

const REAL: Environment = { clock: new SystemClock(), random: Math.random }

/**
 * Takes jobs from an Octoflow server, runs a function on them and tells the server how they ended.
 *
 * `start()` and `stop()` may each be called any number of times, in any order and concurrently: calls are worked off one
 * after the other, and one that asks for the state already reached does nothing.
 */
export class Worker<Body = unknown> {
  readonly #settings: Settings
  readonly #environment: Environment
  #session: Session | null = null
  #ended: Promise<void> = Promise.resolve()
  #last: Promise<unknown> = Promise.resolve()
  /** Stops that were called and have not had their turn: what they wait for need not begin any more. */
  #stopsWaiting = 0
  #abandonStart: () => void = () => undefined

  /** Errors: a `WorkerError` of code `options_invalid`. */
  constructor(options: WorkerOptions<Body>, environment: Partial<Environment> = {}) {
    this.#settings = settingsOf(options)
    this.#environment = { ...REAL, ...environment }
  }

  /** The worker's id on the server, a new one at each start; `null` while it is stopped. */
  get id(): string | null {
    return this.#session?.id ?? null
  }

  /**
   * Works until a signal comes, `stop()` is called or an operator drains the worker. On the first signal it finishes what
   * it has in hand; a second one aborts that and gives it back.
   * Errors: as `start()`; a `TransportError` if the server refuses the worker or is no Octoflow server.
   */
  async run(): Promise<void> {
    const giveBack = onSignals(
      this.#settings.signals,
      () => void this.stop(),
      () => void this.stop({ timeoutSeconds: 0 }),
    )
    try {
      await this.start()
      await this.ended
    } finally {
      giveBack()
    }
  }

  /**
   * Begins to take jobs, whether the server can be reached yet or not. A stop that is called meanwhile ends the start.
   * Errors: a `WorkerError` of code `module_invalid` or `worker_crashed` if the handler's module cannot be used.
   */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#session === null && this.#stopsWaiting === 0) await this.#open()
    })
  }

  /**
   * Takes no more jobs, finishes those in hand and reports them. What is still running after `timeoutSeconds` has its
   * signal fired and is given back if that does not end it within a second; a server that cannot be reached is given up
   * five seconds after the timeout. A later call with a shorter time hastens an earlier one.
   */
  stop({ timeoutSeconds }: { readonly timeoutSeconds?: number } = {}): Promise<void> {
    if (timeoutSeconds !== undefined && !(timeoutSeconds >= 0))
      throw new RangeError(`timeoutSeconds must be a number of seconds, 0 or more, not ${timeoutSeconds}.`)
    const timeoutMs = timeoutSeconds === undefined ? this.#settings.stopTimeoutMs : timeoutSeconds * 1_000
    this.#session?.stop(timeoutMs)
    this.#stopsWaiting++
    this.#abandonStart()
    return this.#inTurn(async () => {
      this.#stopsWaiting--
      this.#session?.stop(timeoutMs)
      await this.#ended.catch(() => undefined)
    })
  }

  /** Takes no more jobs and finishes those in hand, however long that takes. */
  drain(): Promise<void> {
    return this.stop({ timeoutSeconds: Infinity })
  }

  /** When the worker started last has stopped, for whatever reason; rejects as `run()` does. */
  get ended(): Promise<void> {
    return this.#ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #open(): Promise<void> {
    const { server } = this.#settings
    const runner = await this.#startRunner()
    if (runner === null) return
    const transport = isTransport(server) ? server : new HttpTransport(server)
    const session = new Session({ ...this.#settings, ...this.#environment, transport, runner })
    this.#session = session
    this.#ended = session.ended.finally(async () => {
      this.#session = null
      if (transport !== server) await transport.close?.()
    })
    this.#ended.catch(() => undefined)
    session.start()
  }

  /** @returns `null` if a stop was called before the runner was ready: a module may take for ever to load. */
  async #startRunner(): Promise<Runner | null> {
    const abandoned = new Promise<boolean>((resolve) => {
      this.#abandonStart = () => resolve(false)
    })
    const runner = await this.#createRunner()
    try {
      if (await Promise.race([runner.start().then(() => true), abandoned])) return runner
    } catch (error) {
      await runner.stop()
      throw error
    }
    await runner.stop()
    return null
  }

  async #createRunner(): Promise<Runner> {
    const { process: handler, isolation: children, logger } = this.#settings
    if (typeof handler === 'function') return new InlineRunner(async () => handler)
    if (children === 'inline') return new InlineRunner(() => loadHandler(handler))
    // Loaded when it is needed: it is a third of this package, and most workers run their handlers inline.
    const { IsolatedRunner } = await import('./isolation/isolated-runner.ts')
    return new IsolatedRunner({ ...this.#environment, children, href: handler, logger })
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(step)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
