import { OctoflowError } from '../../errors/octoflow-error.ts'
import { inScope, type Principal, type QueueScope } from '../../model/access.ts'
import type { JobEvent } from '../../model/event.ts'
import type { Attempt, Job, JobError } from '../../model/job.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import type { CapturedRequest, RequestSource } from '../../model/request.ts'
import type { NewEvent } from '../../storage/contract/events.ts'
import type { JobChange } from '../../storage/contract/jobs.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import type { RequestFilter } from '../../storage/contract/requests.ts'
import type { ItemResult } from '../../storage/contract/storage.ts'
import type { Roster } from '../engine/roster.ts'
import type { Feed } from '../feed.ts'
import type { Ports } from '../ports.ts'
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

/** A dead job seen as what it left behind. */
export interface DeadLetter {
  readonly job: Job
  readonly attempts: number
  readonly error: JobError | null
  readonly source: RequestSource
}

/** Looking at jobs and requests, and steering them. Everything is limited to the caller's queues. */
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
  async retry(
    id: number,
    change: { readonly payload: string | null; readonly queue: string | null },
    by: Principal,
  ): Promise<Job> {
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

  async deadLetters(filter: JobFilter, page: PageRequest, scope: QueueScope): Promise<Page<DeadLetter>> {
    const dead = await this.list({ ...filter, states: ['dead'] }, page, scope)
    const items: DeadLetter[] = []
    for (let at = 0; at < dead.items.length; at += READ_AT_ONCE) {
      const jobs = dead.items.slice(at, at + READ_AT_ONCE)
      items.push(...(await Promise.all(jobs.map((job) => this.#deadLetter(job)))))
    }
    return { items, next: dead.next }
  }

  /** @throws `dead_letter_not_found`, also for a job in another state and for one outside the scope */
  async deadLetter(id: number, scope: QueueScope): Promise<DeadLetter> {
    const [job] = await this.#ports.storage.jobs.find({ ids: [id] })
    if (job?.state !== 'dead' || !inScope(scope, job.queue)) throw new OctoflowError('dead_letter_not_found', { id })
    return this.#deadLetter(job)
  }

  async findRequest(id: number, scope: QueueScope): Promise<CapturedRequest> {
    const [request] = await this.#ports.storage.requests.find({ ids: [id] })
    if (request === undefined || !inScope(scope, request.queue)) throw new OctoflowError('request_not_found', { id })
    return request
  }

  listRequests(filter: RequestFilter, page: PageRequest, scope: QueueScope): Promise<Page<CapturedRequest>> {
    return this.#ports.storage.requests.list({ filter: withinScope(filter, scope), page })
  }

  async setHandled(id: number, handled: boolean, by: Principal): Promise<void> {
    await this.findRequest(id, by.queues)
    const [result] = await this.#ports.storage.requests.setHandled({ ids: [id], handled })
    if (result!.error !== null) throw result!.error
  }

  async deleteRequest(id: number, by: Principal): Promise<void> {
    await this.findRequest(id, by.queues)
    const [result] = await this.#ports.storage.requests.delete({ now: this.#ports.clock.now(), ids: [id] })
    if (result!.error !== null) throw result!.error
  }

  async #deadLetter(job: Job): Promise<DeadLetter> {
    const { storage } = this.#ports
    const [attempts, [request]] = await Promise.all([
      storage.jobs.attempts({ id: job.id }),
      storage.requests.find({ ids: [job.id] }),
    ])
    return { job, attempts: attempts.length, error: lastError(attempts), source: request?.source ?? 'api' }
  }

  async #changed({ id, error }: ItemResult): Promise<Job> {
    if (error !== null) throw error
    const job = await this.find(id, null)
    this.#feed.publish([job])
    return job
  }
}

/** How many dead letters are read at once: with each comes the whole body of its request, and a page may have a thousand. */
const READ_AT_ONCE = 16

const lastError = (attempts: readonly Attempt[]): JobError | null =>
  attempts.findLast((attempt) => attempt.error !== null)?.error ?? null

/** A filter narrowed to the queues that the caller may see. */
export function withinScope<Filter extends { readonly queues?: readonly string[] | undefined }>(
  filter: Filter,
  scope: QueueScope,
): Filter {
  if (scope === null) return filter
  return { ...filter, queues: filter.queues === undefined ? scope : filter.queues.filter((queue) => scope.includes(queue)) }
}
