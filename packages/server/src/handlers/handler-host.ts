import { type Isolation, type LogFields, Worker, WorkerError, type Logger as WorkerLogger } from '@octoflow/worker'
import type { Work } from '../core/engine/work.ts'
import type { Jobs } from '../core/jobs/jobs.ts'
import type { Queues } from '../core/jobs/queues.ts'
import type { Logger } from '../core/ports.ts'
import { OctoflowError } from '../errors/octoflow-error.ts'
import { Service } from '../lib/service.ts'
import { type Duration, SECOND } from '../lib/time.ts'
import { EngineTransport } from './engine-transport.ts'
import { type HandlerFile, handlersIn, resolveHandler } from './handler-files.ts'

export interface HandlerOptions {
  readonly appRoot: string
  /** Each module in it runs the jobs of the queue it is named after; `null` for none. */
  readonly directory: string | null
  readonly isolation: Isolation
  /** Jobs at once, of each queue; `null` for as many as there are processors. */
  readonly concurrency: number | null
  /** How long a stop waits for the jobs in hand before it aborts them. */
  readonly stopWithin: Duration
}

/**
 * Runs the user's handlers inside the server: those of the handlers' directory, and those that queues name. They are the
 * same modules that `octoflow worker` runs, worked off by the same worker, only without the network in between.
 */
export class HandlerHost extends Service {
  readonly #core: { readonly work: Work; readonly jobs: Jobs; readonly queues: Queues }
  readonly #options: HandlerOptions
  readonly #logger: Logger
  readonly #transport: EngineTransport
  /** By queue. */
  readonly #workers = new Map<string, { readonly path: string; readonly worker: Worker }>()
  readonly #fromDirectory = new Map<string, string>()
  readonly #unusable = new Map<string, string>()
  #changes: Promise<void> = Promise.resolve()
  #unsubscribe: () => void = () => {}

  constructor(
    core: { readonly work: Work; readonly jobs: Jobs; readonly queues: Queues },
    options: HandlerOptions,
    logger: Logger,
  ) {
    super()
    this.#core = core
    this.#options = options
    this.#logger = logger
    this.#transport = new EngineTransport(core.work, core.jobs)
  }

  /** The files that run here, and the queues whose jobs they run. */
  get files(): readonly HandlerFile[] {
    return [...this.#workers].map(([queue, { path }]) => ({ queue, path }))
  }

  /** The handlers that queues name and that cannot be used, by queue. */
  get unusable(): ReadonlyMap<string, string> {
    return this.#unusable
  }

  /** @throws `handler_invalid` for a file of the directory. What a queue names wrongly is logged, counts as unusable and is left alone. */
  protected override async onStart(): Promise<void> {
    const { directory } = this.#options
    for (const { queue, path } of directory === null ? [] : handlersIn(directory)) {
      this.#fromDirectory.set(queue, path)
      await this.#run(queue, path)
    }
    for await (const { queue } of this.#core.queues.all(null)) await this.#apply(queue.name, queue.handler)
    this.#unsubscribe = this.#core.queues.onConfigured(({ name, handler }) => {
      this.#changes = this.#changes.then(() => this.#apply(name, handler))
    })
  }

  protected override async onStop(): Promise<void> {
    this.#unsubscribe()
    await this.#changes
    await Promise.all([...this.#workers.keys()].map((queue) => this.#end(queue)))
    this.#fromDirectory.clear()
    this.#unusable.clear()
  }

  /** Has the queue run by the handler it names, else by that of the directory, else by none. */
  async #apply(queue: string, handler: string | null): Promise<void> {
    this.#unusable.delete(queue)
    try {
      const path = handler === null ? (this.#fromDirectory.get(queue) ?? null) : resolveHandler(this.#options.appRoot, handler)
      if (path === (this.#workers.get(queue)?.path ?? null)) return
      await this.#end(queue)
      if (path !== null) await this.#run(queue, path)
    } catch (error) {
      if (handler !== null) this.#unusable.set(queue, handler)
      this.#logger.error({ err: error, queue, handler }, 'the handler of a queue cannot be used')
    }
  }

  async #run(queue: string, path: string): Promise<void> {
    const { isolation, concurrency, stopWithin } = this.#options
    const worker = new Worker({
      transport: this.#transport,
      queue,
      process: path,
      isolation,
      concurrency: concurrency ?? undefined,
      name: 'handlers',
      logger: toWorkerLogger(this.#logger, queue),
      signals: false,
      stopTimeoutSeconds: stopWithin / SECOND,
    })
    try {
      await worker.start()
    } catch (error) {
      if (!(error instanceof WorkerError)) throw error
      throw new OctoflowError('handler_invalid', { file: path, reason: error.message.replace(/\.$/, '') }, { cause: error })
    }
    this.#workers.set(queue, { path, worker })
    this.#logger.info({ queue, path, isolation }, 'handler started')
  }

  async #end(queue: string): Promise<void> {
    const running = this.#workers.get(queue)
    if (running === undefined) return
    this.#workers.delete(queue)
    await running.worker.stop()
  }
}

/** The worker says its message first. */
function toWorkerLogger(logger: Logger, queue: string): WorkerLogger {
  const line =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}): void =>
      logger[level]({ queue, ...fields }, message)
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}
