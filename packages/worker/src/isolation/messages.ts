import type { AbortCause } from '../abort.ts'
import type { JobData } from '../job-context.ts'
import type { LogFields, LogLevel } from '../logger.ts'
import type { Outcome } from '../outcome.ts'

/** What the worker tells a child, be it a thread or a process. All messages survive JSON. */
export type ToChild =
  | { readonly type: 'run'; readonly job: JobData }
  | { readonly type: 'abort'; readonly cause: AbortCause }
  /** The event with this number is stored. */
  | { readonly type: 'stored'; readonly event: number }

/** What a child tells the worker; all but the first three concern the job that it runs. */
export type FromChild =
  | { readonly type: 'ready' }
  | { readonly type: 'unusable'; readonly message: string; readonly detail: string | null }
  | { readonly type: 'crashing'; readonly message: string; readonly detail: string | null }
  | { readonly type: 'done'; readonly outcome: Outcome }
  | { readonly type: 'event'; readonly event: number; readonly message: string; readonly data?: unknown }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string; readonly data?: unknown }
  | { readonly type: 'progress'; readonly fraction: number | null; readonly message: string | null }
  | { readonly type: 'logger'; readonly level: LogLevel; readonly message: string; readonly fields?: LogFields }
