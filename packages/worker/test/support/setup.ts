import type { TestContext } from 'node:test'
import type { ProcessFunction } from '../../src/job-context.ts'
import type { WorkerOptions } from '../../src/options.ts'
import { type Environment, Worker } from '../../src/worker.ts'
import { ManualClock } from './manual-clock.ts'
import { MemoryServer } from './memory-server.ts'
import { RecordingLogger } from './recording-logger.ts'

export interface Setup {
  readonly server: MemoryServer
  readonly log: RecordingLogger
  readonly worker: Worker
}

type Options = Partial<WorkerOptions> & { readonly process: ProcessFunction | string | URL }

/** A worker of queue `q` on a server in memory. Stopped at the end of the test, whatever it holds. */
export function setUp(test: TestContext, options: Options): Setup {
  const setup = create(options)
  test.after(() => setup.worker.stop({ timeoutSeconds: 0 }))
  return setup
}

/** The same on a clock that the test moves. */
export function setUpWithClock(test: TestContext, options: Options): Setup & { readonly clock: ManualClock } {
  const clock = new ManualClock()
  const setup = create(options, { clock, random: () => 1 })
  test.after(async () => {
    const stopped = setup.worker.stop({ timeoutSeconds: 0 })
    // Handlers that ignore their signal hold the end up until time passes.
    await clock.advance(10_000)
    await stopped
  })
  return { ...setup, clock }
}

function create(options: Options, environment: Partial<Environment> = {}): Setup {
  const server = new MemoryServer()
  const log = new RecordingLogger()
  const named = options.queues === undefined ? { queue: 'q' } : {}
  const worker = new Worker({ ...named, transport: server, logger: log.logger, concurrency: 2, ...options }, environment)
  return { server, log, worker }
}

/** Something to wait for and to let go. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

/** Resolves when a signal has fired, as a handler waits that obeys. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
