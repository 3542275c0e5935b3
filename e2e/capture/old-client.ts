import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import type { Client } from '../support/client.ts'
import { type PendingJob, report, takeNext } from './capturing.ts'

/** Whether the job was done. */
export type Process = (job: PendingJob) => Promise<boolean> | boolean

/**
 * A worker as the released ones are: it polls `next-pending`, knows neither leases nor tokens, and reports with
 * `insert-event`, `update-status` and `mark-handled`. It names jobs by their request's id, as those do.
 */
export class OldClient {
  readonly #client: Client
  readonly #customValue: string
  readonly #process: Process
  readonly #threads: number
  #stopped = false
  readonly worked: number[] = []

  constructor(client: Client, customValue: string, threads: number, process: Process) {
    this.#client = client
    this.#customValue = customValue
    this.#threads = threads
    this.#process = process
  }

  /** Polls until it is told to stop. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#threads }, () => this.#loop()))
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const job = await takeNext(this.#client, this.#customValue)
      if (job === null) await setImmediate()
      else await this.#work(job)
    }
  }

  async #work(job: PendingJob): Promise<void> {
    const id = job.request_id
    this.worked.push(id)
    const done = await this.#process(job)
    const message = done ? 'Request processed successfully' : 'Failed to process request'
    const event = await this.#client.post(`/jobs/${id}/insert-event`, { json: { job_id: id, message } })
    assert.equal(event.status, 200, event.text)
    assert.equal(await report(this.#client, id, done ? 'Completed' : 'Error'), 200)
    if (done) assert.equal((await this.#client.put(`/jobs/${id}/mark-handled`)).status, 200)
  }
}
