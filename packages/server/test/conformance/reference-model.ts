import type { Instant } from '../../src/lib/time.ts'
import { type AttemptOutcome, isFinished, type Job } from '../../src/model/job.ts'
import { DEFAULT_QUEUE_SETTINGS, type QueueCounts, type QueueSettings, retryPolicy } from '../../src/model/queue.ts'
import { type Outcome, settle } from '../../src/model/settle.ts'
import type { JobChange } from '../../src/storage/contract/jobs.ts'

type Writable<Type> = { -readonly [Name in keyof Type]: Type[Name] }

/** What the model knows of a job: all that the verbs of a walk change. */
export type ModelJob = Writable<
  Pick<
    Job,
    | 'id'
    | 'queue'
    | 'state'
    | 'priority'
    | 'runAt'
    | 'startedAt'
    | 'finishedAt'
    | 'attempt'
    | 'maxAttempts'
    | 'fence'
    | 'leaseUntil'
    | 'worker'
    | 'uniqueKey'
    | 'concurrencyKey'
    | 'cancelRequested'
    | 'reason'
  >
>

/** An error's code, or `null` where the call was served. */
type Verdict = string | null

/**
 * The contract in a few maps, as plainly as it can be said: no index, no counter, everything is searched for when it is
 * needed. A driver must behave as this does.
 */
export class ReferenceModel {
  readonly jobs = new Map<number, ModelJob>()
  readonly #queues = new Map<string, QueueSettings>()
  /** How each attempt ended, by job and fence. */
  readonly #endings = new Map<number, Map<number, AttemptOutcome>>()

  configure(name: string, change: Partial<QueueSettings>): void {
    this.#queues.set(name, { ...this.settings(name), ...change })
  }

  settings(name: string): QueueSettings {
    return this.#queues.get(name) ?? DEFAULT_QUEUE_SETTINGS
  }

  /** The job that keeps another from being made. */
  holder(queue: string, uniqueKey: string | null): ModelJob | undefined {
    if (uniqueKey === null) return undefined
    return this.#in(queue).find((job) => job.uniqueKey === uniqueKey && !isFinished(job.state))
  }

  submit(job: Pick<ModelJob, 'id' | 'queue' | 'priority' | 'runAt' | 'maxAttempts' | 'uniqueKey' | 'concurrencyKey'>): void {
    if (!this.#queues.has(job.queue)) this.configure(job.queue, {})
    const fresh = { startedAt: null, finishedAt: null, attempt: 0, fence: 0, leaseUntil: null, worker: null } as const
    this.jobs.set(job.id, { ...job, ...fresh, state: 'pending', cancelRequested: false, reason: null })
    this.#endings.set(job.id, new Map())
  }

  /** @returns the ids of the jobs that a claim must get, in order. */
  claim(queue: string, limit: number, worker: string, now: Instant, leaseUntil: Instant): number[] {
    const { paused, concurrency } = this.settings(queue)
    const room = Math.min(limit, (concurrency ?? limit + this.#running(queue)) - this.#running(queue))
    const ids: number[] = []
    for (const job of paused ? [] : this.#due(queue, now)) {
      if (ids.length >= room) break
      if (this.#placesOf(job) < 1) continue
      this.start(job, worker, now, leaseUntil)
      ids.push(job.id)
    }
    return ids
  }

  /** When the next delayed job of a queue is due; `null` if there is none. */
  nextDue(queue: string, now: Instant): Instant | null {
    const times = this.#in(queue).filter((job) => job.state === 'pending' && job.runAt > now)
    return times.length === 0 ? null : Math.min(...times.map(({ runAt }) => runAt))
  }

  start(job: ModelJob, worker: string, now: Instant, leaseUntil: Instant): void {
    Object.assign(job, { state: 'running', startedAt: now, worker, leaseUntil })
    job.attempt++
    job.fence++
  }

  report(id: number, fence: number | null, outcome: Outcome, now: Instant): Verdict {
    const job = this.jobs.get(id)
    if (job === undefined) return 'job_not_found'
    if (fence !== null && (job.fence !== fence || job.state !== 'running'))
      return this.#endings.get(id)!.get(fence) === outcome.kind ? null : 'lease_lost'
    if (isFinished(job.state)) return FINAL[outcome.kind] === job.state ? null : 'job_finished'
    this.#settle(job, outcome, now)
    return null
  }

  /** @returns how many jobs are taken back. */
  rescue(now: Instant): number {
    const expired = [...this.jobs.values()].filter((job) => job.leaseUntil !== null && job.leaseUntil <= now)
    for (const job of expired) this.#settle(job, { kind: 'lease_expired' }, now)
    return expired.length
  }

  renew(id: number, worker: string, now: Instant, leaseUntil: Instant): Verdict {
    const job = this.jobs.get(id)
    if (job === undefined) return 'job_not_found'
    if (isFinished(job.state)) return 'job_finished'
    if (job.state === 'running') {
      job.leaseUntil = leaseUntil
      return null
    }
    const running = this.#running(job.queue)
    if (running >= (this.settings(job.queue).concurrency ?? running + 1) || this.#placesOf(job) < 1) return 'job_must_wait'
    this.start(job, worker, now, leaseUntil)
    return null
  }

  cancel(id: number, reason: string, now: Instant): Verdict {
    const job = this.jobs.get(id)
    if (job === undefined) return 'job_not_found'
    if (isFinished(job.state)) return 'job_finished'
    if (job.state === 'pending') Object.assign(job, { state: 'cancelled', finishedAt: now, reason })
    else if (!job.cancelRequested) Object.assign(job, { cancelRequested: true, reason })
    return null
  }

  retry(id: number, queue: string | null, now: Instant): Verdict {
    const job = this.jobs.get(id)
    if (job === undefined) return 'job_not_found'
    if (!isFinished(job.state)) return 'job_not_finished'
    if (this.holder(queue ?? job.queue, job.uniqueKey) !== undefined) return 'unique_key_taken'
    const fresh = {
      state: 'pending',
      runAt: now,
      attempt: 0,
      startedAt: null,
      finishedAt: null,
      cancelRequested: false,
      reason: null,
    }
    Object.assign(job, fresh, { queue: queue ?? job.queue })
    if (!this.#queues.has(job.queue)) this.configure(job.queue, {})
    return null
  }

  edit(id: number, change: Pick<JobChange, 'priority' | 'runAt'>): Verdict {
    const job = this.jobs.get(id)
    if (job === undefined) return 'job_not_found'
    if (job.state === 'running') return 'job_running'
    if (isFinished(job.state)) return 'job_finished'
    Object.assign(job, change)
    return null
  }

  remove(id: number): Verdict {
    return this.jobs.delete(id) ? null : 'request_not_found'
  }

  /** How the attempts of a job ended, the first one first; `null` for one that runs. */
  attempts(id: number): (AttemptOutcome | null)[] {
    const endings = this.#endings.get(id)!
    return Array.from({ length: this.jobs.get(id)!.fence }, (_, index) => endings.get(index + 1) ?? null)
  }

  /** The counts that a queue must have once a claim has looked at it. */
  counts(queue: string, now: Instant): QueueCounts {
    const jobs = this.#in(queue)
    const count = (state: string): number => jobs.filter((job) => job.state === state).length
    const due = this.#due(queue, now)
    const keys = new Set(due.flatMap(({ concurrencyKey }) => (concurrencyKey === null ? [] : [concurrencyKey])))
    const keyed = [...keys].map((key) => due.filter(({ concurrencyKey }) => concurrencyKey === key))
    const held = keyed.reduce((sum, group) => sum + group.length - Math.min(group.length, this.#placesOf(group[0]!)), 0)
    const pending = count('pending')
    const finished = { completed: count('completed'), cancelled: count('cancelled'), dead: count('dead') }
    return { pending, ready: due.length - held, held, scheduled: pending - due.length, running: count('running'), ...finished }
  }

  queues(): string[] {
    return [...this.#queues.keys()]
  }

  /** The pending jobs of a queue that are due, in the order in which they are to start. */
  #due(queue: string, now: Instant): ModelJob[] {
    return this.#in(queue)
      .filter((job) => job.state === 'pending' && job.runAt <= now)
      .sort((a, b) => a.priority - b.priority || a.id - b.id)
  }

  /** How many more jobs of a job's key may run. */
  #placesOf({ queue, concurrencyKey }: ModelJob): number {
    if (concurrencyKey === null) return Number.POSITIVE_INFINITY
    const running = this.#in(queue).filter((job) => job.state === 'running' && job.concurrencyKey === concurrencyKey)
    return Math.max(0, this.settings(queue).keyConcurrency - running.length)
  }

  #running(queue: string): number {
    return this.#in(queue).filter((job) => job.state === 'running').length
  }

  #in(queue: string): ModelJob[] {
    return [...this.jobs.values()].filter((job) => job.queue === queue)
  }

  #settle(job: ModelJob, outcome: Outcome, now: Instant): void {
    const policy = retryPolicy({ maxAttempts: job.maxAttempts, backoff: null }, this.settings(job.queue))
    const settlement = settle({ ...job, ...policy }, outcome, now)
    if (settlement === null) return
    if (job.state === 'running') this.#endings.get(job.id)!.set(job.fence, settlement.outcome)
    const { state, attempt, runAt, reason } = settlement
    const finishedAt = isFinished(state) ? now : null
    const why = state === 'completed' ? null : (reason ?? job.reason)
    const rest = { finishedAt, leaseUntil: null, cancelRequested: false, reason: why }
    Object.assign(job, { state, attempt, runAt: runAt ?? job.runAt, ...rest })
  }
}

const FINAL: Readonly<Partial<Record<Outcome['kind'], string>>> = {
  completed: 'completed',
  cancelled: 'cancelled',
  discarded: 'dead',
}
