import type { ErrorCode } from '../errors/catalogue.ts'
import type { OctoflowError } from '../errors/octoflow-error.ts'

/** What a script learns from how a command ended. Listed in docs/guides/command-line.md. */
export const ExitCode = {
  ok: 0,
  /** It was tried and did not succeed. */
  failed: 1,
  /** The command line does not make sense. */
  usage: 2,
  /** What was asked for does not exist. */
  notFound: 3,
  /** The key is missing, void, or not allowed to do this. */
  denied: 4,
  /** No server answers. */
  unreachable: 5,
  /** The state of things does not allow it, or not now. */
  conflict: 6,
  /** The configuration does not fit, or what the server starts with keeps it from starting. */
  config: 7,
  /** Ended by Ctrl-C. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

const STARTING: readonly ErrorCode[] = [
  'config_invalid',
  'database_refused',
  'database_unreachable',
  'data_directory_unusable',
  'data_directory_in_use',
  'not_a_database',
  'schema_newer',
  'schema_older',
  'database_in_use',
  'database_not_empty',
  'copy_unfinished',
  'storage_corrupt',
  'storage_full',
  'storage_read_only',
  'address_in_use',
  'address_unusable',
  'event_types_invalid',
  'handler_invalid',
]

export function exitCodeOf({ code, entry }: OctoflowError): ExitCode {
  if (STARTING.includes(code)) return ExitCode.config
  return exitCodeOfStatus(entry.status)
}

export function exitCodeOfStatus(status: number): ExitCode {
  if (status === 400) return ExitCode.usage
  if (status === 404) return ExitCode.notFound
  if (status === 401 || status === 403) return ExitCode.denied
  if (status === 409 || status === 412) return ExitCode.conflict
  return ExitCode.failed
}

export const exitCodeOfSignal = (signal: NodeJS.Signals): ExitCode =>
  signal === 'SIGINT' ? ExitCode.interrupted : ExitCode.terminated
