import { OctoflowError } from '../../errors/octoflow-error.ts'
import { inScope, type Principal, type QueueScope } from '../../model/access.ts'
import type { Job, JobError } from '../../model/job.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import type { RequestSource } from '../../model/request.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import type { Ports } from '../ports.ts'
import { type Jobs, lastError, type Rerun } from './jobs.ts'

/** A dead job seen as what it left behind. */
export interface DeadLetter {
  readonly job: Job
  readonly error: JobError | null
  readonly source: RequestSource
}

/** Looking at dead jobs, and running them again. Everything is limited to the caller's queues. */
export class DeadLetters {
  readonly #ports: Ports
  readonly #jobs: Jobs

  constructor(ports: Ports, jobs: Jobs) {
    this.#ports = ports
    this.#jobs = jobs
  }

  async list(filter: JobFilter, page: PageRequest, scope: QueueScope): Promise<Page<DeadLetter>> {
    const dead = await this.#jobs.list({ ...filter, states: ['dead'] }, page, scope)
    const items: DeadLetter[] = []
    for (let at = 0; at < dead.items.length; at += READ_AT_ONCE) {
      const jobs = dead.items.slice(at, at + READ_AT_ONCE)
      items.push(...(await Promise.all(jobs.map((job) => this.#read(job)))))
    }
    return { items, next: dead.next }
  }

  /** @throws `dead_letter_not_found`, also for a job in another state and for one outside the scope */
  async find(id: number, scope: QueueScope): Promise<DeadLetter> {
    const [job] = await this.#ports.storage.jobs.find({ ids: [id] })
    if (job?.state !== 'dead' || !inScope(scope, job.queue)) throw new OctoflowError('dead_letter_not_found', { id })
    return this.#read(job)
  }

  /** Runs a dead job again. @throws `dead_letter_not_found`, `queue_out_of_scope` */
  async replay(id: number, change: Rerun, by: Principal): Promise<Job> {
    await this.find(id, by.queues)
    return this.#jobs.retry(id, change, by)
  }

  async #read(job: Job): Promise<DeadLetter> {
    const { storage } = this.#ports
    const [attempts, [request]] = await Promise.all([
      storage.jobs.attempts({ id: job.id }),
      storage.requests.find({ ids: [job.id] }),
    ])
    return { job, error: lastError(attempts), source: request?.source ?? 'api' }
  }
}

/** How many dead letters are read at once: with each comes the whole body of its request, and a page may have a thousand. */
const READ_AT_ONCE = 16
