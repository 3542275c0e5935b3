import type { Backoff } from '../../lib/backoff.ts'
import type { Duration } from '../../lib/time.ts'
import type { Labels } from '../../model/job.ts'

/** The columns `options`, as JSON: what few jobs set, so that the row of the many stays short. */
export interface JobOptions {
  readonly backoff?: Backoff
  readonly timeout?: Duration
  readonly labels?: Labels
}

const NONE: JobOptions = Object.freeze({})

export const parseOptions = (text: string | null): JobOptions => (text === null ? NONE : (JSON.parse(text) as JobOptions))

export function formatOptions(options: {
  readonly backoff: Backoff | null
  readonly timeout: Duration | null
  readonly labels: Labels | null
}): string | null {
  if (options.backoff === null && options.timeout === null && options.labels === null) return null
  const given: JobOptions = {
    ...(options.backoff !== null && { backoff: options.backoff }),
    ...(options.timeout !== null && { timeout: options.timeout }),
    ...(options.labels !== null && Object.keys(options.labels).length > 0 && { labels: options.labels }),
  }
  return Object.keys(given).length === 0 ? null : JSON.stringify(given)
}

/** What a label is found by: its name, and its name with its value. */
export const labelTerms = (labels: Labels): string[] =>
  Object.entries(labels).flatMap(([name, value]) => [name, `${name}=${value}`])
