export { AbortCause, JobAbortedError } from './abort.ts'
export { HttpTransport, type HttpTransportOptions } from './http-transport.ts'
export type { CapturedRequest, Job, ProcessFunction } from './job-context.ts'
export { type LogFields, type Logger, type LogLevel, stderrLogger } from './logger.ts'
export { Isolation, type WorkerOptions } from './options.ts'
export { type ChosenOutcome, cancel, discard, snooze } from './outcome.ts'
export {
  type Beats,
  type Claim,
  type ClaimParams,
  type EventParams,
  type HeartbeatParams,
  type Report,
  type Reported,
  type ReportParams,
  type Transport,
  TransportError,
  type TransportErrorKind,
} from './transport.ts'
export { VERSION } from './version.ts'
export { Worker } from './worker.ts'
export { WorkerError } from './worker-error.ts'
