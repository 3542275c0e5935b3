/** graphile-worker, if `npm install --prefix bench` was run: the fastest queue on PostgreSQL for Node.js that we know of. */
import { createRequire } from 'node:module'

interface Runner {
  stop(): Promise<void>
}

interface Utils {
  addJob(task: string, payload: object): Promise<unknown>
  addJobs(specs: readonly { readonly identifier: string; readonly payload: object }[]): Promise<unknown>
  migrate(): Promise<void>
  release(): Promise<void>
}

interface Library {
  run(options: object): Promise<Runner>
  makeWorkerUtils(options: object): Promise<Utils>
  Logger: new (factory: () => () => void) => unknown
}

/** @returns `null` where it is not installed. */
export function loadGraphileWorker(): Library | null {
  try {
    return createRequire(new URL('../package.json', import.meta.url))('graphile-worker') as Library
  } catch {
    return null
  }
}

/** As its documentation tunes it for throughput: a local queue, completions in batches. */
const TUNED = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }

export class GraphileWorker implements AsyncDisposable {
  readonly #library: Library
  readonly #connectionString: string
  readonly #utils: Utils
  readonly #schema: string
  readonly #logger: unknown

  private constructor(library: Library, connectionString: string, schema: string, utils: Utils, logger: unknown) {
    this.#library = library
    this.#connectionString = connectionString
    this.#schema = schema
    this.#utils = utils
    this.#logger = logger
  }

  static async open(library: Library, connectionString: string, schema: string): Promise<GraphileWorker> {
    const logger = new library.Logger(() => () => undefined)
    const utils = await library.makeWorkerUtils({ connectionString, schema, logger })
    await utils.migrate()
    return new GraphileWorker(library, connectionString, schema, utils, logger)
  }

  async submit(count: number): Promise<void> {
    await this.#utils.addJobs(Array.from({ length: count }, () => ({ identifier: 'bench', payload: { n: 1 } })))
  }

  /** Works until so many jobs are through, and completed in the database. @returns seconds, its start not counted. */
  async drain(count: number, settings: { readonly tuned: boolean; readonly concurrency: number }): Promise<number> {
    let left = count
    let begun = 0
    const done = Promise.withResolvers<void>()
    const task = (): void => {
      if (begun === 0) begun = performance.now()
      if (--left === 0) done.resolve()
    }
    const runner = await this.#run(task, settings)
    await done.promise
    const ended = performance.now()
    await runner.stop()
    return (ended - begun) / 1_000
  }

  /** From the answer to a submit until the task of an idle worker begins, in milliseconds. */
  async latencies(count: number): Promise<number[]> {
    let begin = (): void => {}
    const runner = await this.#run(() => begin(), { tuned: false, concurrency: 1 })
    const waits: number[] = []
    // It may not listen yet when the first job comes, which then waits for its poll, whose timer keeps no process alive.
    const alive = setInterval(() => {}, 1_000)
    for (let job = 0; job <= count; job++) {
      const begun = new Promise<number>((resolve) => {
        begin = () => resolve(performance.now())
      })
      await this.#utils.addJob('bench', { n: 1 })
      const answered = performance.now()
      waits.push(Math.max(0, (await begun) - answered))
    }
    clearInterval(alive)
    await runner.stop()
    return waits.slice(1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#utils.release()
  }

  #run(task: () => void, { tuned, concurrency }: { readonly tuned: boolean; readonly concurrency: number }): Promise<Runner> {
    return this.#library.run({
      connectionString: this.#connectionString,
      concurrency,
      noHandleSignals: true,
      maxPoolSize: concurrency + 2,
      logger: this.#logger,
      taskList: { bench: task },
      preset: {
        worker: { schema: this.#schema, concurrentJobs: concurrency, maxPoolSize: concurrency + 2, ...(tuned && TUNED) },
      },
    })
  }
}
