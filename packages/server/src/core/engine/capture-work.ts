import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Duration, Instant } from '../../lib/time.ts'
import type { Principal } from '../../model/access.ts'
import { DeadReason } from '../../model/job.ts'
import type { Outcome } from '../../model/settle.ts'
import type { NewEvent } from '../../storage/contract/events.ts'
import type { ClaimedJob } from '../../storage/contract/leases.ts'
import type { ItemResult } from '../../storage/contract/storage.ts'
import type { Feed } from '../feed.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Ports } from '../ports.ts'
import type { Work } from './work.ts'

/** The job statuses of the capture API that mean something. Any other text is a label. */
export const CaptureStatus = {
  pending: 'Pending',
  inProgress: 'In Progress',
  completed: 'Completed',
  error: 'Error',
  cancelled: 'Cancelled',
} as const

/**
 * Work as clients of the capture API do it: they take one job at a time, send no heartbeats and hold no token, and report
 * by the job's id alone. Their jobs get a long lease, which every report renews.
 */
export class CaptureWork {
  readonly #ports: Ports
  readonly #work: Work
  readonly #jobs: Jobs
  readonly #feed: Feed
  readonly #lease: Duration

  constructor(ports: Ports, parts: { readonly work: Work; readonly jobs: Jobs; readonly feed: Feed }, lease: Duration) {
    this.#ports = ports
    this.#work = parts.work
    this.#jobs = parts.jobs
    this.#feed = parts.feed
    this.#lease = lease
  }

  async next(
    wish: { readonly queue: string; readonly worker: string; readonly wait: Duration; readonly signal: AbortSignal },
    by: Principal,
  ): Promise<ClaimedJob | null> {
    const { jobs } = await this.#work.claim({ ...wish, limit: 1, lease: this.#lease }, by, null)
    return jobs[0] ?? null
  }

  /** @throws `job_not_found`, `job_finished`, `job_must_wait` */
  async setStatus(id: number, status: string, finishedAt: Instant | null, worker: string, by: Principal): Promise<void> {
    await this.#jobs.find(id, by.queues)
    const outcome = OUTCOMES.get(status)
    if (outcome !== undefined) return this.#settle(id, outcome, finishedAt)
    if (status === CaptureStatus.inProgress) return this.#renew(id, worker, true)
    const [labelled] = await Promise.all([
      this.#ports.storage.jobs.label({ id, label: status }),
      this.#renew(id, worker, false),
    ])
    orThrow(labelled)
  }

  /** @returns the event's id. @throws `job_not_found` */
  async addEvent(id: number, message: string, worker: string, by: Principal): Promise<number> {
    await this.#jobs.find(id, by.queues)
    const event: NewEvent = { kind: 'event', level: 'info', message, data: null, at: null }
    const [[eventId]] = await Promise.all([
      this.#ports.storage.events.append({ now: this.#ports.clock.now(), items: [{ jobId: id, event }] }),
      this.#renew(id, worker, false),
    ])
    if (typeof eventId !== 'number') throw new OctoflowError('job_not_found', { id })
    return eventId
  }

  /** @throws `job_not_found` */
  async markHandled(id: number, worker: string, by: Principal): Promise<void> {
    await this.#jobs.find(id, by.queues)
    const [[handled]] = await Promise.all([
      this.#ports.storage.requests.setHandled({ ids: [id], handled: true }),
      this.#renew(id, worker, false),
    ])
    orThrow(handled!)
  }

  async #settle(id: number, outcome: Outcome, finishedAt: Instant | null): Promise<void> {
    const now = this.#ports.clock.now()
    const [result] = await this.#ports.storage.leases.report({
      now,
      reports: [{ id, fence: null, outcome, finishedAt, events: [] }],
    })
    orThrow(result!)
    const { queue, state } = result!
    if (queue !== null && state !== null) this.#feed.publish([{ id, queue, state }])
  }

  /**
   * Asked for together with what the client reports, so that both share a commit.
   * @param start whether the client says that it works on the job.
   */
  async #renew(id: number, worker: string, start: boolean): Promise<void> {
    orThrow(await this.#ports.storage.leases.renew({ now: this.#ports.clock.now(), id, worker, lease: this.#lease, start }))
  }
}

/** A map, for a status is any text, also one that every object knows as a member. */
const OUTCOMES: ReadonlyMap<string, Outcome> = new Map<string, Outcome>([
  [CaptureStatus.pending, { kind: 'released' }],
  [CaptureStatus.completed, { kind: 'completed', result: null, handled: false }],
  [CaptureStatus.cancelled, { kind: 'cancelled', reason: 'cancelled by its client' }],
  [
    CaptureStatus.error,
    {
      kind: 'discarded',
      reason: DeadReason.reportedError,
      error: { message: 'The client reported the status Error.', code: 'reported_error', detail: null },
    },
  ],
])

function orThrow({ error }: ItemResult): void {
  if (error !== null) throw error
}
