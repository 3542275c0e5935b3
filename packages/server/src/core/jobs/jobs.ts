import { OctoflowError } from '../../errors/octoflow-error.ts'
import { inScope, type Principal, type QueueScope } from '../../model/access.ts'
import type { JobEvent } from '../../model/event.ts'
import type { Attempt, Job, JobError } from '../../model/job.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import type { NewEvent } from '../../storage/contract/events.ts'
import type { JobChange } from '../../storage/contract/jobs.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import type { ItemResult } from '../../storage/contract/storage.ts'
import type { Roster } from '../engine/roster.ts'
import type { Feed } from '../feed.ts'
import type { Ports } from '../ports.ts'
import { withinScope } from './scope.ts'
import { stepsOf, type TimelinePage, type TimelineRequest, timelinePage } from './timeline.ts'
import { type WaitingReason, whyWaiting } from './waiting.ts'

/** A job with all that is known of it. */
export interface JobDetail {
  readonly job: Job
  /** JSON text. */
  readonly payload: string
  readonly attempts: readonly Attempt[]
  /** JSON text; `null` if the handler returned nothing. */
  readonly result: string | null
  /** Of the last attempt that failed, while the job has not completed. */
  readonly error: JobError | null
}

/** What is to be different when a job is run again; `null` for nothing. */
export interface Rerun {
  /** JSON text. */
  readonly payload: string | null
  readonly queue: string | null
}

/** Looking at jobs, and steering them. Everything is limited to the caller's queues. */
export class Jobs {
  readonly #ports: Ports
  readonly #roster: Roster
  readonly #feed: Feed

  constructor(ports: Ports, roster: Roster, feed: Feed) {
    this.#ports = ports
    this.#roster = roster
    this.#feed = feed
  }

  /** @throws `job_not_found`, also for a job outside the scope: its existence is not told. */
  async find(id: number, scope: QueueScope): Promise<Job> {
    const [job] = await this.#ports.storage.jobs.find({ ids: [id] })
    if (job === undefined || !inScope(scope, job.queue)) throw new OctoflowError('job_not_found', { id })
    return job
  }

  async detail(id: number, scope: QueueScope): Promise<JobDetail> {
    const job = await this.find(id, scope)
    const { storage } = this.#ports
    const [payload, attempts, results] = await Promise.all([
      storage.jobs.payload({ id }),
      storage.jobs.attempts({ id }),
      storage.results.find({ jobIds: [id] }),
    ])
    const error = job.state === 'completed' ? null : lastError(attempts)
    return { job, payload: payload ?? '{}', attempts, result: results[0]?.value ?? null, error }
  }

  list(filter: JobFilter, page: PageRequest, scope: QueueScope): Promise<Page<Job>> {
    return this.#ports.storage.jobs.list({ filter: withinScope(filter, scope), page })
  }

  async timeline(id: number, page: TimelineRequest, scope: QueueScope): Promise<TimelinePage> {
    const job = await this.find(id, scope)
    const { storage } = this.#ports
    const { order, limit } = page
    const [requests, attempts, events] = await Promise.all([
      storage.requests.find({ ids: [id] }),
      storage.jobs.attempts({ id }),
      storage.events.list({ jobId: id, page: { order, limit, after: page.after?.event ?? null } }),
    ])
    const [request] = requests
    if (request === undefined) throw new OctoflowError('job_not_found', { id })
    return timelinePage(stepsOf(request, job, attempts), events, page)
  }

  /** Why a job has not started. Empty once it has. */
  async waiting(id: number, scope: QueueScope): Promise<{ readonly job: Job; readonly reasons: readonly WaitingReason[] }> {
    const job = await this.find(id, scope)
    const now = this.#ports.clock.now()
    const facts = await this.#ports.storage.jobs.waiting({ id, now })
    if (facts === null) return { job, reasons: [] }
    return { job, reasons: whyWaiting(facts, await this.#roster.workersOf(job.queue), now) }
  }

  async cancel(id: number, reason: string | null, by: Principal): Promise<Job> {
    await this.find(id, by.queues)
    const note = `Cancel requested by ${by.name}${reason === null ? '' : `: ${reason}`}`
    const now = this.#ports.clock.now()
    const [result] = await this.#ports.storage.jobs.cancel({ now, ids: [id], reason: reason ?? 'cancelled', note })
    return this.#changed(result!)
  }

  /** Runs a finished job again. */
  async retry(id: number, change: Rerun, by: Principal): Promise<Job> {
    await this.find(id, by.queues)
    if (change.queue !== null && !inScope(by.queues, change.queue))
      throw new OctoflowError('queue_out_of_scope', { queue: change.queue })
    const target = change.queue === null ? '' : ` in queue "${change.queue}"`
    const note = `Run again${target} by ${by.name}${change.payload === null ? '' : ', with another payload'}`
    const now = this.#ports.clock.now()
    const [result] = await this.#ports.storage.jobs.retry({ now, items: [{ id, ...change }], note })
    return this.#changed(result!)
  }

  async edit(id: number, change: JobChange, by: Principal): Promise<Job> {
    await this.find(id, by.queues)
    const note = `Changed by ${by.name}: ${Object.keys(change).join(', ')}`
    return this.#changed(await this.#ports.storage.jobs.edit({ now: this.#ports.clock.now(), id, change, note }))
  }

  /** Deletes the job with its request and all that hangs on them. */
  async delete(id: number, by: Principal): Promise<void> {
    await this.find(id, by.queues)
    const [result] = await this.#ports.storage.requests.delete({ now: this.#ports.clock.now(), ids: [id] })
    if (result!.error !== null) throw new OctoflowError('job_not_found', { id })
  }

  /** @returns the ids of the events. */
  async addEvents(id: number, events: readonly NewEvent[], by: Principal): Promise<readonly number[]> {
    await this.find(id, by.queues)
    const now = this.#ports.clock.now()
    const ids = await this.#ports.storage.events.append({ now, items: events.map((event) => ({ jobId: id, event })) })
    return ids.map((eventId) => {
      if (eventId === null) throw new OctoflowError('job_not_found', { id })
      return eventId
    })
  }

  async events(id: number, page: PageRequest, scope: QueueScope): Promise<Page<JobEvent>> {
    await this.find(id, scope)
    return this.#ports.storage.events.list({ jobId: id, page })
  }

  async #changed({ id, error }: ItemResult): Promise<Job> {
    if (error !== null) throw error
    const job = await this.find(id, null)
    this.#feed.publish([job])
    return job
  }
}

/** The error of the last attempt that failed. */
export const lastError = (attempts: readonly Attempt[]): JobError | null =>
  attempts.findLast((attempt) => attempt.error !== null)?.error ?? null
