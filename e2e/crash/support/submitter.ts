import { setTimeout } from 'node:timers/promises'
import { KEY } from '../../support/server-process.ts'
import type { Random } from './seed.ts'
import type { Task } from './worker-process.ts'

/** The queues that a submitter fills, and how many jobs of one concurrency key may run at once in each. */
export const QUEUES = { 'crash-plain': 1, 'crash-captured': 1, 'crash-one': 1, 'crash-three': 3 } as const
export type QueueName = keyof typeof QUEUES

/** What is sent as a job's payload. The marker tells it from all other jobs. */
export interface Payload extends Task {
  readonly marker: string
}

/** A job that a client asked for, and what it was told. */
export interface Wanted {
  readonly marker: string
  readonly queue: QueueName
  readonly state: 'completed' | 'dead'
  readonly uniqueKey: string | null
  readonly concurrencyKey: string | null
  readonly delayMs: number
  /** It was sent under an idempotency key, again and again until it was answered. */
  readonly insisted: boolean
  /** The id in the answer; `null` if the answer was lost. */
  readonly id: number | null
  /** The answer said that an earlier job has the unique key. */
  readonly existing: boolean
}

type Plan = Omit<Wanted, 'id' | 'existing' | 'insisted'> & { readonly task: Task; readonly priority: number }

interface Answer {
  readonly id: number
  readonly outcome: 'created' | 'repeated' | 'existing'
}

const RETRY_MS = 40
const GIVE_UP_MS = 60_000
const ANSWER_MS = 10_000

/** A client of the capture and the native API that never stops asking for jobs, whatever becomes of the server. */
export class Submitter {
  readonly wanted: Wanted[] = []
  readonly #name: string
  readonly #url: string
  readonly #random: Random
  #stopped = false
  #count = 0
  /** Calls of which it is not known what they did. */
  #lost = 0
  #retries = 0

  constructor(name: string, url: string, random: Random) {
    this.#name = name
    this.#url = url
    this.#random = random
  }

  get lostAnswers(): number {
    return this.#lost
  }

  get retries(): number {
    return this.#retries
  }

  /** @param paceMs the mean time from one call to the next. */
  async run(paceMs: number): Promise<void> {
    while (!this.#stopped) {
      await this.#submit()
      await setTimeout(this.#random.next() * 2 * paceMs)
    }
  }

  /** No call is begun any more; one that is repeated until it is answered still is. */
  stop(): void {
    this.#stopped = true
  }

  async #submit(): Promise<void> {
    const random = this.#random
    const insists = random.chance(0.6)
    const key = insists ? `${this.#name}-key-${this.#count}` : null
    if (random.chance(0.3)) {
      const plan = { ...this.#plan(), queue: 'crash-captured', uniqueKey: null, concurrencyKey: null, delayMs: 0 } as const
      const simple = { ...plan, state: 'completed', task: { workMs: plan.task.workMs ?? 0 } } as const
      await this.#send([simple], key, `/request?custom_value=${simple.queue}`, { marker: simple.marker, ...simple.task })
    } else if (random.chance(0.2)) {
      const plans = Array.from({ length: random.between(2, 12) }, () => this.#plan())
      await this.#send(plans, key, '/api/v1/jobs', { jobs: plans.map(toJob) })
    } else {
      const plan = this.#plan()
      await this.#send([plan], key, '/api/v1/jobs', toJob(plan))
    }
  }

  #plan(): Plan {
    const random = this.#random
    const queue = random.pick(['crash-plain', 'crash-one', 'crash-three'] as const)
    const doomed = random.chance(0.03)
    const fails = random.chance(0.1)
    return {
      marker: `${this.#name}-${++this.#count}`,
      queue,
      state: doomed ? 'dead' : 'completed',
      uniqueKey: queue === 'crash-plain' && random.chance(0.3) ? `unique-${random.between(1, 8)}` : null,
      concurrencyKey: queue === 'crash-plain' ? null : `key-${random.between(1, 12)}`,
      delayMs: random.chance(0.1) ? random.between(100, 2_000) : 0,
      priority: random.between(0, 9),
      task: { workMs: random.between(0, 60), failures: doomed ? 1_000 : fails ? random.between(1, 2) : 0 },
    }
  }

  async #send(plans: readonly Plan[], key: string | null, path: string, body: unknown): Promise<void> {
    const answers = await this.#call(path, body, key)
    for (const [index, { task: _, priority: __, ...plan }] of plans.entries()) {
      const answer = answers?.[index]
      const insisted = key !== null
      this.wanted.push({ ...plan, insisted, id: answer?.id ?? null, existing: answer?.outcome === 'existing' })
    }
  }

  /** @returns `null` if no answer came and the call may not be repeated. */
  async #call(path: string, body: unknown, key: string | null): Promise<readonly Answer[] | null> {
    const deadline = performance.now() + GIVE_UP_MS
    while (true) {
      const answers = await this.#tryCall(path, body, key)
      if (answers !== null) return answers
      if (key === null) {
        this.#lost++
        return null
      }
      if (performance.now() > deadline) throw new Error(`${path} was not answered within ${GIVE_UP_MS / 1_000} s`)
      this.#retries++
      await setTimeout(RETRY_MS)
    }
  }

  async #tryCall(path: string, body: unknown, key: string | null): Promise<readonly Answer[] | null> {
    let status: number
    let text: string
    try {
      const response = await fetch(this.#url + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${KEY}`,
          'content-type': 'application/json',
          ...(key !== null && { 'idempotency-key': key }),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      status = response.status
      text = await response.text()
    } catch {
      return null
    }
    if (status === 503) return null
    if (status !== 200 && status !== 201) throw new Error(`${path} was answered with ${status}: ${text}`)
    const answer = JSON.parse(text) as Answer | { readonly jobs: readonly Answer[] }
    return 'jobs' in answer ? answer.jobs : [answer]
  }
}

const toJob = ({ marker, task, queue, state, priority, delayMs, uniqueKey, concurrencyKey }: Plan): object => ({
  queue,
  payload: { marker, ...task } satisfies Payload,
  priority,
  ...(state === 'dead' && { maxAttempts: 2 }),
  ...(delayMs > 0 && { delaySeconds: delayMs / 1_000 }),
  ...(uniqueKey !== null && { uniqueKey }),
  ...(concurrencyKey !== null && { concurrencyKey }),
})
