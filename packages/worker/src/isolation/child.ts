import { JobAbortedError } from '../abort.ts'
import { execute, type JobData, type JobHooks, type ProcessFunction } from '../job-context.ts'
import { loadHandler } from '../load-handler.ts'
import { fromLines, type LogFields, type Logger, type LogLevel } from '../logger.ts'
import { failureOf, type OutcomeError } from '../outcome.ts'
import type { FromChild, ToChild } from './messages.ts'

export type Send = (message: FromChild) => void

/**
 * The child's side: runs one job after the other as it is told.
 * @returns takes the worker's messages; those that come while the module is being loaded are none, for the worker waits.
 */
export function serve(href: string, send: Send): (message: ToChild) => void {
  let handler: ProcessFunction | null = null
  let job: ChildJob | null = null
  loadHandler(href).then(
    (loaded) => {
      handler = loaded
      send({ type: 'ready' })
    },
    (error: unknown) => send({ type: 'unusable', ...errorOf(error) }),
  )
  return (message) => {
    if (message.type === 'run') {
      job = new ChildJob(send)
      void job.run(handler!, message.job)
    } else if (message.type === 'abort') job?.abort(new JobAbortedError(message.cause))
    else job?.stored(message.event)
  }
}

/** What is known of an error, in a form that can be sent. */
export function errorOf(error: unknown): Pick<OutcomeError, 'message' | 'detail'> {
  const { error: known } = failureOf(error) as { readonly error: OutcomeError }
  return { message: known.message, detail: known.detail }
}

let lastEvent = 0

/** One job in the child: hands on what the handler says, until the handler has ended. */
class ChildJob implements JobHooks {
  readonly logger: Logger
  readonly #post: Send
  readonly #controller = new AbortController()
  readonly #unstored = new Map<number, () => void>()
  #over = false

  constructor(send: Send) {
    // Nothing may follow `done`: it would be taken for the next job's.
    this.#post = (message) => {
      if (!this.#over) send(message)
    }
    this.logger = fromLines((level, message, fields) =>
      this.#post({ type: 'logger', level, message, ...(fields === undefined ? {} : { fields: sendable(fields) }) }),
    )
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  async run(handler: ProcessFunction, data: JobData): Promise<void> {
    this.#post({ type: 'done', outcome: await execute(handler, data, this) })
    this.#over = true
  }

  abort(reason: JobAbortedError): void {
    this.#controller.abort(reason)
  }

  event(message: string, data: unknown): Promise<void> {
    if (this.#over) return Promise.resolve()
    return new Promise((resolve) => {
      const event = ++lastEvent
      this.#unstored.set(event, resolve)
      this.#post({ type: 'event', event, message, ...dataIn(data) })
    })
  }

  stored(event: number): void {
    this.#unstored.get(event)?.()
    this.#unstored.delete(event)
  }

  log(level: LogLevel, message: string, data: unknown): void {
    this.#post({ type: 'log', level, message, ...dataIn(data) })
  }

  progress(fraction: number | null, message: string | null): void {
    this.#post({ type: 'progress', fraction, message })
  }
}

const dataIn = (data: unknown): { readonly data?: unknown } => (data === undefined ? {} : { data })

/** Log fields may be anything; across the boundary they go as JSON, errors by their stacks. */
function sendable(fields: LogFields): LogFields {
  const replacer = (_name: string, value: unknown): unknown => {
    if (value instanceof Error) return value.stack ?? String(value)
    return typeof value === 'bigint' ? value.toString() : value
  }
  try {
    return JSON.parse(JSON.stringify(fields, replacer)) as LogFields
  } catch {
    return { fields: String(fields) }
  }
}
