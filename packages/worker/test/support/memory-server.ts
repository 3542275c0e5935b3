import type { ClaimedJob, EventInput, Progress } from '@octoflow/protocol'
import type {
  Beats,
  Claim,
  ClaimParams,
  EventParams,
  HeartbeatParams,
  Report,
  Reported,
  ReportParams,
  Transport,
} from '../../src/transport.ts'
import { Watched } from './watched.ts'

export type State = 'pending' | 'snoozed' | 'running' | 'completed' | 'cancelled' | 'dead'

export interface StoredJob {
  readonly id: number
  readonly queue: string
  readonly payload: unknown
  readonly options: Partial<ClaimedJob>
  state: State
  attempt: number
  fence: number
  worker: string | null
  cancelRequested: boolean
  result: unknown
  error: Report['error'] | null
  progress: Partial<Progress> | null
  readonly outcomes: string[]
  readonly events: EventInput[]
}

interface Params {
  readonly claim: ClaimParams
  readonly heartbeat: HeartbeatParams
  readonly report: ReportParams
  readonly event: EventParams
}

type Verb = keyof Params

export interface Call {
  readonly verb: Verb
  readonly params: Params[Verb]
}

/** Takes part in a call: throws to fail it, waits to delay it; what is thrown after `proceed()` loses the answer. */
export type Interceptor = (proceed: () => Promise<unknown>, call: Call) => Promise<unknown>

/**
 * The server as a worker sees it, in memory: leases with fencing tokens, commands, long polling. It has no clock: leases
 * end when a test says so, and a claim that waits does so until there is a job, its signal fires or `answerPolls()`.
 */
export class MemoryServer extends Watched implements Transport {
  readonly jobs = new Map<number, StoredJob>()
  readonly calls: Call[] = []
  readonly #interceptors = new Map<Verb, Interceptor[]>()
  readonly #polls = new Set<() => void>()
  draining = false
  closed = false

  submit(queue: string, payload: unknown = {}, options: Partial<ClaimedJob> = {}): StoredJob {
    const id = this.jobs.size + 1
    const job: StoredJob = {
      id,
      queue,
      payload,
      options,
      state: 'pending',
      attempt: 0,
      fence: 0,
      worker: null,
      cancelRequested: false,
      result: null,
      error: null,
      progress: null,
      outcomes: [],
      events: [],
    }
    this.jobs.set(id, job)
    this.#wakePolls()
    return job
  }

  /** The next call of this kind that no other interceptor takes goes through this one. */
  intercept(verb: Verb, interceptor: Interceptor): void {
    const waiting = this.#interceptors.get(verb) ?? []
    waiting.push(interceptor)
    this.#interceptors.set(verb, waiting)
  }

  callsOf<Of extends Verb>(verb: Of): Params[Of][] {
    return this.calls.filter((call) => call.verb === verb).map(({ params }) => params as Params[Of])
  }

  untilState(job: StoredJob, ...states: readonly State[]): Promise<void> {
    return this.until(() => states.includes(job.state))
  }

  untilOutcomes(job: StoredJob, count: number): Promise<void> {
    return this.until(() => job.outcomes.length >= count)
  }

  /** Takes the lease away, as when it ran out. */
  expire(job: StoredJob): void {
    job.state = 'pending'
    job.fence++
    this.#wakePolls()
  }

  cancel(job: StoredJob): void {
    job.cancelRequested = true
  }

  /** Answers claims that wait, with nothing. */
  answerPolls(): void {
    for (const poll of [...this.#polls]) poll()
  }

  get pollsWaiting(): number {
    return this.#polls.size
  }

  claim(params: ClaimParams): Promise<Claim> {
    return this.#call({ verb: 'claim', params }, () => this.#claim(params))
  }

  heartbeat(params: HeartbeatParams): Promise<Beats> {
    return this.#call({ verb: 'heartbeat', params }, async () => ({
      jobs: params.jobs.map(({ id, leaseToken, progress }) => {
        const job = this.jobs.get(id)
        if (job === undefined || !holds(job, leaseToken)) return { id, leaseUntil: null, command: 'lost' as const }
        if (progress !== undefined) job.progress = progress
        const command = job.cancelRequested ? 'cancel' : this.draining ? 'drain' : 'continue'
        return { id, leaseUntil: new Date().toISOString(), command }
      }),
    }))
  }

  report(params: ReportParams): Promise<Reported> {
    return this.#call({ verb: 'report', params }, async () => ({ jobs: params.jobs.map((report) => this.#settle(report)) }))
  }

  event(params: EventParams): Promise<void> {
    return this.#call({ verb: 'event', params }, async () => {
      this.jobs.get(params.id)?.events.push(...params.events)
    })
  }

  async close(): Promise<void> {
    this.closed = true
    this.changed()
  }

  async #call<Answer>(call: Call, answer: () => Promise<Answer>): Promise<Answer> {
    this.calls.push(call)
    this.changed()
    const interceptor = this.#interceptors.get(call.verb)?.shift()
    try {
      return await (interceptor === undefined ? answer() : (interceptor(answer, call) as Promise<Answer>))
    } finally {
      this.changed()
    }
  }

  async #claim({ queue, limit, waitSeconds, workerId, signal }: ClaimParams): Promise<Claim> {
    if (this.draining) return { jobs: [], drain: true }
    let jobs = this.#lease(queue, limit, workerId)
    let patient = waitSeconds > 0 && !signal.aborted
    while (jobs.length === 0 && patient) {
      patient = await this.#news(signal)
      jobs = this.#lease(queue, limit, workerId)
    }
    return { jobs, drain: this.draining }
  }

  /** @returns whether it is worth waiting on. */
  #news(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (more: boolean): void => {
        this.#polls.delete(giveUp)
        this.#wakes.delete(wake)
        signal.removeEventListener('abort', giveUp)
        resolve(more)
      }
      const giveUp = (): void => end(false)
      const wake = (): void => end(true)
      this.#polls.add(giveUp)
      this.#wakes.add(wake)
      signal.addEventListener('abort', giveUp)
      this.changed()
    })
  }

  readonly #wakes = new Set<() => void>()

  #wakePolls(): void {
    for (const wake of [...this.#wakes]) wake()
    this.changed()
  }

  #lease(queue: string, limit: number, workerId: string): ClaimedJob[] {
    const pending = [...this.jobs.values()].filter((job) => job.queue === queue && job.state === 'pending').slice(0, limit)
    return pending.map((job) => {
      job.state = 'running'
      job.attempt++
      job.fence++
      job.worker = workerId
      return claimed(job)
    })
  }

  #settle(report: Report): Reported['jobs'][number] {
    const { id, leaseToken, outcome } = report
    const job = this.jobs.get(id)
    if (job === undefined) return { id, ok: false, code: 'job_not_found', message: `There is no job ${id}.` }
    if (!holds(job, leaseToken)) {
      if (token(job) === leaseToken && job.outcomes.at(-1) === outcome) return { id, ok: true }
      return { id, ok: false, code: 'lease_lost', message: `The lease on job ${id} is no longer held.` }
    }
    job.outcomes.push(outcome)
    job.state = stateAfter(outcome)
    job.result = report.resultJson === undefined ? null : JSON.parse(report.resultJson)
    job.error = report.error ?? null
    job.events.push(...(report.events ?? []))
    return { id, ok: true }
  }
}

const token = (job: StoredJob): string => String(job.fence)

const holds = (job: StoredJob, leaseToken: string): boolean => job.state === 'running' && token(job) === leaseToken

const STATES: Readonly<Record<Report['outcome'], State>> = {
  completed: 'completed',
  failed: 'dead',
  discarded: 'dead',
  cancelled: 'cancelled',
  snoozed: 'snoozed',
  released: 'pending',
}

const stateAfter = (outcome: Report['outcome']): State => STATES[outcome]

const AT = '2026-11-21T10:15:30.123Z'

function claimed(job: StoredJob): ClaimedJob {
  const { id, queue, payload, attempt } = job
  return {
    id,
    queue,
    payload,
    leaseToken: token(job),
    leaseUntil: AT,
    attempt,
    maxAttempts: 3,
    priority: 5,
    createdAt: AT,
    runAt: AT,
    timeoutSeconds: null,
    concurrencyKey: null,
    labels: {},
    request: {
      id,
      timestamp: AT,
      sourceIp: '203.0.113.7',
      userAgent: 'test',
      method: 'POST',
      url: `/request?custom_value=${queue}`,
      contentType: 'application/json',
      headers: { 'content-type': 'application/json' },
      customValue: queue,
    },
    ...job.options,
  }
}
