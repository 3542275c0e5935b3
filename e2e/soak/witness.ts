import { Lifetime } from '../crash/support/lifetime.ts'
import { residentMemory } from '../crash/support/memory.ts'
import { stream } from '../crash/support/seed.ts'
import { Site } from '../crash/support/site.ts'
import { configureQueues } from '../crash/support/storm.ts'
import { QUEUES, Submitter } from '../crash/support/submitter.ts'
import type { WorkerProcess } from '../crash/support/worker-process.ts'
import type { Owner } from '../support/owner.ts'
import { deleteFinished } from './clearing.ts'

const SUBMITTERS = 2
const PACE_MS = 25

/**
 * A server and a worker that work all the time and are never killed: what grows in a process that lives long shows here
 * only, since the others never get old.
 */
export class Witness {
  readonly #site: Site
  readonly #worker: WorkerProcess
  readonly #submitters: readonly Submitter[]
  readonly #submitting: Promise<unknown>

  private constructor(site: Site, worker: WorkerProcess, submitters: readonly Submitter[]) {
    this.#site = site
    this.#worker = worker
    this.#submitters = submitters
    this.#submitting = Promise.all(submitters.map((submitter) => submitter.run(PACE_MS)))
    this.#submitting.catch(() => undefined)
  }

  static async open(owner: Owner, seed: number): Promise<Witness> {
    const lifetime = new Lifetime()
    owner.after(() => lifetime.end())
    const site = await Site.open(lifetime)
    await configureQueues(site.client)
    const worker = await site.worker({ queues: Object.keys(QUEUES) })
    const submitters = Array.from(
      { length: SUBMITTERS },
      (_, index) => new Submitter(`witness${index}`, site.url, stream(seed, 300 + index)),
    )
    return new Witness(site, worker, submitters)
  }

  get serverMemory(): number {
    return residentMemory(this.#site.server.pid)
  }

  get workerMemory(): number {
    return residentMemory(this.#worker.pid)
  }

  get submitted(): number {
    return this.#submitters.reduce((sum, { wanted }) => sum + wanted.length, 0)
  }

  /** Deletes what has ended, as a retention would. */
  async clear(): Promise<void> {
    await deleteFinished(this.#site.client)
  }

  async stop(): Promise<void> {
    for (const submitter of this.#submitters) submitter.stop()
    await this.#submitting
    await this.#worker.stop()
    await this.#site.stop()
  }
}
