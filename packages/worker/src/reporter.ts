import type { Channel } from './connection.ts'
import type { Logger } from './logger.ts'
import { FAILED, PROCESSED } from './report.ts'
import { isTransportError, type Report, type Reported, type Transport } from './transport.ts'
import { WorkerError } from './worker-error.ts'

const LARGEST_BATCH = 1_000

/** In characters; a server takes bodies of 1 MiB unless told otherwise, and a character may be three bytes. */
const LARGEST_BATCH_LENGTH = 262_144

/** Codes of single reports that may be taken the next time. Any other code is the server's last word. */
const TRY_AGAIN: ReadonlySet<string> = new Set([
  'internal',
  'overloaded',
  'storage_closed',
  'storage_full',
  'storage_read_only',
  'storage_unavailable',
])

interface Entry {
  readonly report: Report
  readonly length: number
  /** The server has answered, or never will. */
  readonly settled: () => void
}

export interface ReporterOptions {
  readonly transport: Transport
  readonly workerId: string
  readonly channel: Channel
  readonly logger: Logger
  /** The server refuses the worker's credential. */
  readonly refused: (error: unknown) => void
  /** A call is over, so `clogged` may have become false. */
  readonly relieved: () => void
}

/**
 * Tells the server how attempts ended, one call at a time: outcomes that become ready while a call is under way share
 * the next one. A report is kept until the server has answered it.
 */
export class Reporter {
  readonly #options: ReporterOptions
  readonly #hangUp = new AbortController()
  #waiting: Entry[] = []
  #inFlight: readonly Entry[] = []
  #largestBatch = LARGEST_BATCH
  #scheduled = false
  #working = false
  #closed = false

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** So much is unreported that no more work should be taken on. */
  get clogged(): boolean {
    return this.#options.channel.failing || this.#waiting.length + this.#inFlight.length >= LARGEST_BATCH
  }

  add(report: Report, settled: () => void): void {
    if (this.#closed) {
      settled()
      return
    }
    this.#waiting.push({ report, length: lengthOf(report), settled })
    if (this.#scheduled || this.#working) return
    this.#scheduled = true
    // Not at once, so that handlers that end together share a call; a microtask costs no turn of the event loop.
    queueMicrotask(() => {
      this.#scheduled = false
      void this.#sendAll()
    })
  }

  /** Tries at once what would be tried later. */
  hurry(): void {
    this.#options.channel.hurry()
  }

  /** Ends the reporting, whatever has not been answered. */
  giveUp(): void {
    this.#closed = true
    const left = [...this.#inFlight, ...this.#waiting]
    this.#waiting = []
    this.#hangUp.abort()
    this.#options.channel.close()
    for (const entry of left) entry.settled()
  }

  async #sendAll(): Promise<void> {
    this.#working = true
    while (this.#waiting.length > 0 && !this.#closed) {
      this.#inFlight = this.#takeBatch()
      const error = await this.#send(this.#inFlight)
      this.#inFlight = []
      if (error !== null && !this.#closed) await this.#options.channel.backOff(error)
      else this.#options.relieved()
    }
    this.#working = false
  }

  /** The first that fit in one call. A job that is in it twice, for two attempts, has its later report wait. */
  #takeBatch(): readonly Entry[] {
    const ids = new Set<number>()
    const batch: Entry[] = []
    const rest: Entry[] = []
    let length = 0
    for (const entry of this.#waiting) {
      const { id } = entry.report
      const fits = batch.length === 0 || (batch.length < this.#largestBatch && length + entry.length <= LARGEST_BATCH_LENGTH)
      if (!fits || rest.length > 0 || ids.has(id)) {
        rest.push(entry)
        continue
      }
      batch.push(entry)
      ids.add(id)
      length += entry.length
    }
    this.#waiting = rest
    return batch
  }

  /** @returns why the reports wait again, or `null` if there is no need to pause. */
  async #send(batch: readonly Entry[]): Promise<unknown> {
    const { transport, workerId, channel } = this.#options
    try {
      const answer = await transport.report({
        workerId,
        jobs: batch.map(({ report }) => report),
        signal: this.#hangUp.signal,
      })
      if (this.#closed) return null
      const again = this.#settle(batch, answer)
      if (again !== null) return again
      this.#largestBatch = Math.min(LARGEST_BATCH, this.#largestBatch * 2)
      channel.succeeded()
      return null
    } catch (error) {
      return this.#closed ? null : this.#notTaken(batch, error ?? new Error('a call threw nothing'))
    }
  }

  /** @returns an error if some reports could not be taken for now; they wait again. */
  #settle(batch: readonly Entry[], answer: Reported): WorkerError | null {
    const answers = new Map(answer.jobs.map((item) => [item.id, item]))
    const again: Entry[] = []
    let why: WorkerError | null = null
    for (const entry of batch) {
      const item = answers.get(entry.report.id)
      if (item?.ok) entry.settled()
      else if (item === undefined || TRY_AGAIN.has(item.code ?? '')) {
        again.push(entry)
        why ??= new WorkerError(item?.code ?? 'bad_answer', item?.message ?? 'The answer to a report leaves jobs out.')
      } else this.#drop(entry, item.code ?? 'unknown', item.message ?? 'The server does not say why.')
    }
    this.#waiting.unshift(...again)
    return why
  }

  #notTaken(batch: readonly Entry[], error: unknown): unknown {
    if (isTransportError(error, 'refused')) {
      for (const entry of batch) this.#drop(entry, error.code, error.message)
      this.#options.refused(error)
      return null
    }
    if (!isTransportError(error, 'rejected')) {
      this.#waiting.unshift(...batch)
      return error
    }
    if (batch.length > 1) {
      // One of them is at fault, or all together are too large: smaller calls will tell.
      this.#largestBatch = Math.ceil(batch.length / 2)
      this.#waiting.unshift(...batch)
    } else this.#replace(batch[0]!, error)
    return null
  }

  #replace(entry: Entry, error: WorkerError): void {
    const report = reduced(entry.report, error)
    if (report === null) {
      this.#drop(entry, error.code, error.message)
      return
    }
    const { id, outcome } = entry.report
    this.#options.logger.warn('The server does not take a report; it is told less.', {
      jobId: id,
      outcome,
      error: error.message,
    })
    this.#waiting.unshift({ report, length: lengthOf(report), settled: entry.settled })
  }

  #drop(entry: Entry, code: string, message: string): void {
    const { id, outcome } = entry.report
    this.#options.logger.warn('The outcome of a job is dropped.', { jobId: id, outcome, code, reason: message })
    entry.settled()
  }
}

/**
 * The report without the largest part that can be spared: first what the handler said, then the result (what cannot be
 * stored is a failure of the attempt), then the stack. `null` if nothing can be spared.
 */
function reduced({ resultJson, ...report }: Report, refusal: WorkerError): Report | null {
  const { events = [], error } = report
  const closing = events.filter((event) => event === PROCESSED || event === FAILED)
  if (closing.length < events.length) return { ...report, ...(resultJson === undefined ? {} : { resultJson }), events: closing }
  if (resultJson !== undefined) {
    const message = `The server does not take the result: ${refusal.message}`
    return { ...report, outcome: 'failed', error: { message, code: 'result_not_taken', detail: null }, events: [FAILED] }
  }
  if (typeof error === 'object' && (error.detail ?? null) !== null) return { ...report, error: { ...error, detail: null } }
  return null
}

function lengthOf({ resultJson, error, events, reason }: Report): number {
  let length = 100 + (resultJson?.length ?? 0) + (reason?.length ?? 0)
  if (typeof error === 'object') length += (error.message?.length ?? 0) + (error.detail?.length ?? 0)
  for (const event of events ?? NO_EVENTS)
    length += 100 + event.message.length + (event.data === undefined ? 0 : JSON.stringify(event.data).length)
  return length
}

const NO_EVENTS = [] as const
