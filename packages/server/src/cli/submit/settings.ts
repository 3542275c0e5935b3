import type { ServerOptions } from '../client/find-server.ts'
import type { JsonOption } from '../options.ts'

export interface SubmitOptions extends ServerOptions, JsonOption {
  readonly file?: string
  readonly priority?: number
  readonly delay?: number
  readonly runAt?: string
  readonly maxAttempts?: number
  readonly uniqueKey?: string
  readonly concurrencyKey?: string
  readonly timeout?: number
  readonly label?: Readonly<Record<string, string>>
  readonly idempotencyKey?: string
  readonly wait?: number | true
}

/** What the options say about a job, as the API takes it; without its payload. */
export function jobSettings(queue: string, options: SubmitOptions): object {
  const { priority, delay, runAt, maxAttempts, uniqueKey, concurrencyKey, timeout, label: labels } = options
  return {
    queue,
    priority,
    delaySeconds: delay,
    runAt,
    maxAttempts,
    uniqueKey,
    concurrencyKey,
    timeoutSeconds: timeout,
    labels,
  }
}
